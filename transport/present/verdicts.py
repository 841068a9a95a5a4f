"""The block a person reads about each file (console.md 4.2): verdict, then one line per signature."""

from __future__ import annotations

from collections.abc import Sequence

from signer.report import Covers, Indication, Integrity, LaterChanges, Report, SignatureReport, Verdict
from transport.present import catalogue
from transport.present.screen import Screen
from transport.present.text import pad, person_time, sanitise
from transport.present.verify import Checked, reasons_of, verdict_of

SIGNS = {"good": "✔", "bad": "✘", "open": "?"}
TONES = {Verdict.VALID: "good", Verdict.INVALID: "bad", Verdict.INDETERMINATE: "open"}
_QUIET_CHANGES = frozenset(
    {"validation-data", "timestamp", "metadata", "rewrite", "structure", "signature", "empty-field"}
)
_WORD_COLUMNS = 18


def blocks(files: Sequence[Checked], screen: Screen, *, policy: str) -> list[str]:
    """Return one block per file in the order given, then the count; in a pipe one record per signature."""
    if not screen.terminal:
        return [line for file in files for line in _records(file, screen, policy=policy)]
    lines = [line for file in files for line in block(file, screen, policy=policy)]
    return [*lines, summary(files, screen.lang)]


def summary(files: Sequence[Checked], lang: str) -> str:
    """Return the count of verdicts in one line."""
    counts = {verdict.value: sum(verdict_of(file) is verdict for file in files) for verdict in Verdict}
    return catalogue.word("verify.count", lang, files=len(files), **counts)


def verdict_word(verdict: Verdict, screen: Screen) -> str:
    """Return sign and word of a verdict, such as ``✔ HỢP LỆ``."""
    return f"{screen.sign(TONES[verdict])} {catalogue.word(f'verdict.{verdict.value}', screen.lang)}"


def block(file: Checked, screen: Screen, *, policy: str) -> list[str]:
    """Return the lines about one file."""
    verdict = verdict_of(file)
    head = screen.paint(pad(verdict_word(verdict, screen), _WORD_COLUMNS), TONES[verdict]) + sanitise(file.path)
    if policy == "integrity-only":
        head += " · " + catalogue.word("verify.integrity_only", screen.lang)
    report = file.report
    if report is None:
        return [head, *_fault_lines(file, screen)]
    if report.legal_class:
        head += " · " + catalogue.word(f"class.{report.legal_class}", screen.lang)
    lines = [head, *(signature_line(signature, screen) for signature in report.signatures)]
    lines += [f"    {screen.sign(TONES[verdict])} {text}" for text in _file_reasons(report, screen.lang)]
    lines += [f"    {screen.paint(screen.sign('bad'), 'bad')} {text}" for text in _unmet(file, screen.lang)]
    lines += [f"    ! {text}" for text in _warnings(report, screen.lang)]
    for name, part in report.parts:
        inner = block(Checked(name, part), screen, policy=policy)
        lines += [f"    {line}" for line in inner]
    return lines


def _fault_lines(file: Checked, screen: Screen) -> list[str]:
    if file.fault is None:
        return [f"    ? {catalogue.reason('UNREADABLE', {}, screen.lang)}"]
    texts = [file.fault.message, file.fault.why]
    return [f"    ? {sanitise(text)}" for text in texts if text]


def _file_reasons(report: Report, lang: str) -> list[str]:
    """Return what stands against the file itself; reasons of a signature stand on its own line."""
    shown = (reason for reason in reasons_of(report) if reason.signature is None)
    return [sanitise(catalogue.reason(reason.code.value, reason.facts, lang)) for reason in shown]


def _unmet(file: Checked, lang: str) -> list[str]:
    """Return what the command line asked for and the file does not meet."""
    return [sanitise(catalogue.reason(reason.code.value, reason.facts, lang)) for reason in file.unmet]


def _warnings(report: Report, lang: str) -> list[str]:
    found = [*report.warnings, *(warning for signature in report.signatures for warning in signature.warnings)]
    texts = [sanitise(catalogue.reason(warning.code.value, warning.facts, lang)) for warning in found]
    return list(dict.fromkeys(texts))


def signature_line(signature: SignatureReport, screen: Screen) -> str:
    """Return the line about one signature: who, when and whether that is proved, level, what it covers or why not."""
    tones = {Indication.PASSED: "good", Indication.FAILED: "bad", Indication.INDETERMINATE: "open"}
    tone = "bad" if signature.integrity is Integrity.BROKEN else tones[signature.indication]
    parts = [who(signature, screen.lang), when(signature, screen.lang), signature.level, state(signature, screen.lang)]
    text = " · ".join(sanitise(part) for part in parts if part)
    return f"    {screen.paint(screen.sign(tone), tone)} {text}"


def who(signature: SignatureReport, lang: str) -> str:
    """Return the signer in words: a person with capacity, position, authority as far as known; an agency's code."""
    signer = signature.signer
    if signer.agency:
        return f"{signer.organization or signer.name or '-'} ({signer.agency})"
    name = signature.name or signer.name or signer.organization or catalogue.word("signer.unknown", lang)
    position = f"{signer.capacity or ''} {signer.position or ''}".strip()
    whole = f"{name}, {position}" if position else name
    if signer.authority == "unknown":
        return whole
    return f"{whole} ({catalogue.word(f'signer.authority.{signer.authority}', lang)})"


def when(signature: SignatureReport, lang: str) -> str:
    """Return the time and where it comes from; a time only claimed is marked so."""
    if signature.time_source != "validation-time":
        source = catalogue.word(f"time.{signature.time_source}", lang)
        return f"{person_time(signature.best_signature_time)} ({source})"
    if signature.signing_time is None:
        return catalogue.word("time.none", lang)
    return f"{person_time(signature.signing_time)} ({catalogue.word('time.claimed', lang)})"


def state(signature: SignatureReport, lang: str) -> str:
    """Return what the signature covers and what came later, or why it is not accepted."""
    if signature.integrity is Integrity.BROKEN or signature.indication is Indication.FAILED:
        return _why(signature, lang) or catalogue.word("state.broken", lang)
    if signature.indication is Indication.PASSED:
        return _coverage(signature, lang)
    why = _why(signature, lang)
    if signature.integrity is Integrity.INTACT:
        return catalogue.word("state.intact_but", lang, why=why) if why else catalogue.word("state.intact", lang)
    return why or catalogue.word("state.unknown", lang)


def _why(signature: SignatureReport, lang: str) -> str:
    texts = [catalogue.reason(reason.code.value, reason.facts, lang) for reason in signature.reasons]
    if not texts and signature.sub_indication:
        texts = [catalogue.reason(signature.sub_indication.value, {}, lang)]
    return "; ".join(dict.fromkeys(texts))


def _coverage(signature: SignatureReport, lang: str) -> str:
    if signature.later_changes is LaterChanges.ALLOWED:
        quiet = all(change.kind in _QUIET_CHANGES for change in signature.changes)
        return catalogue.word("state.later_signatures" if quiet else "state.later_allowed", lang)
    if signature.covers is Covers.PARTIAL:
        return catalogue.word("state.partial", lang, covered=", ".join(signature.covered))
    return catalogue.word("state.whole", lang)


def _records(file: Checked, screen: Screen, *, policy: str) -> list[str]:
    """Return tab-separated records: verdict, path, legal class, then who, when, level, state of one signature.

    Under ``integrity-only`` there is no legal class; that no signer was judged is said in its place. What stands
    against the file itself has a record of its own; parts follow, named as in JSON.
    """
    lang, report = screen.lang, file.report
    verdict = verdict_word(verdict_of(file), screen)
    if report is None:
        rows = [["", "", "", file.fault.message if file.fault else ""]]
        return ["\t".join(sanitise(cell) for cell in (verdict, file.path, "", *row)) for row in rows]
    rows = [[who(s, lang), when(s, lang), s.level, state(s, lang)] for s in report.signatures]
    extra = "; ".join([*_file_reasons(report, lang), *_unmet(file, lang)])
    if extra or not rows:
        rows.append(["", "", "", extra])
    legal = catalogue.word(f"class.{report.legal_class}", lang) if report.legal_class else ""
    if policy == "integrity-only":
        legal = catalogue.word("verify.integrity_only", lang)
    lines = ["\t".join(sanitise(cell) for cell in (verdict, file.path, legal, *row)) for row in rows]
    parts = (Checked(f"{file.path}!/{name}", part) for name, part in report.parts)
    return [*lines, *(line for part in parts for line in _records(part, screen, policy=policy))]
