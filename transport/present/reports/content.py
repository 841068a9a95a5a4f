"""A report over judged files, as a court could read it: what was checked, the answer, and why (signing.md 8, R67, R69).

Per file one sentence; per signature three questions, answered apart; then times, changes, certificates, status answers,
algorithms; at the end how it was checked and every reason with its code. The same input gives the same page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from signer import certificates
from signer.report import Reason, Report, Verdict
from transport.present import catalogue
from transport.present.reports import blocks, signatures
from transport.present.reports.blocks import Block, Page
from transport.present.reports.words import Words
from transport.present.text import json_time, octets, person_date, person_time
from transport.present.verdicts import SIGNS, TONES
from transport.present.verify import DOCUMENT_FIELDS, Checked, Judgement, reasons_of, verdict_of


def page(files: Sequence[Checked], how: Judgement, lang: str) -> Page:
    """Return the whole report in the language asked for."""
    words = Words(lang)
    counts = {verdict.value: sum(verdict_of(file) is verdict for file in files) for verdict in Verdict}
    body: list[Block] = []
    for file in files:
        body += _file(file, how, words)
    body += _how(how, words)
    body += _appendix(files, words)
    return Page(
        lang,
        words("title"),
        (
            words("summary", files=len(files), **counts),
            f"{blocks.capital(words('at'))}: {person_time(how.at)}",
            words("made", at=person_time(how.generated_at), version=how.version),
        ),
        tuple(body),
        words("no_legal_value"),
        json_time(how.generated_at),
    )


def _file(file: Checked, how: Judgement, words: Words) -> Iterator[Block]:
    yield blocks.heading(2, file.path)
    yield from _judged(file, how, words)


def _judged(file: Checked, how: Judgement, words: Words) -> Iterator[Block]:
    """Return verdict, facts and signatures of a file, then those of its parts."""
    verdict = verdict_of(file)
    word = f"{SIGNS[TONES[verdict]]} {catalogue.word(f'verdict.{verdict.value}', words.lang)}"
    yield blocks.banner(TONES[verdict], word, _sentence(file, how, words))
    yield _described(file, words)
    report = file.report
    if report is None:
        return
    yield from _listed(words("part_reasons"), (r for r in reasons_of(report) if r.signature is None), words)
    yield from _listed(words("part_warnings"), (*report.warnings, *file.unmet), words)
    if report.document:
        yield from _document(report, words)
    for number, signature in enumerate(report.signatures, start=1):
        yield from signatures.described(signature, number, how, words)
    for name, part in report.parts:
        yield blocks.heading(2, words("part_inner", name=f"{file.path}!/{name}"))
        yield from _judged(Checked(f"{file.path}!/{name}", part), how, words)


def _sentence(file: Checked, how: Judgement, words: Words) -> str:
    report = file.report
    if report is None:
        return words("verdict_indeterminate", why=file.fault.message if file.fault else words("unreadable"))
    if report.verdict is Verdict.VALID:
        return words("verdict_valid_integrity-only" if how.policy == "integrity-only" else "verdict_valid")
    found = reasons_of(report)
    why = reason_text(found[0], words) if found else words("no_reason")
    return words(f"verdict_{report.verdict.value}", why=why)


def reason_text(reason: Reason, words: Words) -> str:
    """Return the sentence of a reason."""
    return catalogue.reason(reason.code.value, reason.facts, words.lang)


def _described(file: Checked, words: Words) -> Block:
    report = file.report
    size = report.size if report is not None else None
    rows: list[tuple[str, str | None]] = [(words("name"), file.path)]
    if size is not None:
        rows.append((words("size"), f"{octets(size, words.lang)} ({words('bytes', n=size)})"))
    if report is not None:
        rows += [
            (words("sha256"), report.sha256),
            (words("kind"), report.format or report.kind),
            (words("legal"), _legal(report, words)),
            (words("signatures"), str(len(report.signatures))),
        ]
    if file.fault is not None:
        rows.append((words("error"), " ".join(text for text in (file.fault.message, file.fault.why) if text)))
    return blocks.facts(rows, mono=[words("sha256")])


def _legal(report: Report, words: Words) -> str | None:
    return catalogue.word(f"class.{report.legal_class}", words.lang) if report.legal_class else None


def _document(report: Report, words: Words) -> Iterator[Block]:
    stated = report.document or {}
    names = {**{name: name for name in DOCUMENT_FIELDS}, "subject": "subject_line"}
    yield blocks.heading(4, words("part_document"))
    shown = {**stated, "date": _day(stated.get("date", ""))}
    yield blocks.facts((words(names.get(name, name)), shown.get(name)) for name in dict.fromkeys((*names, *stated)))


def _day(text: str) -> str:
    """Return a day as people write it; what is no day stays as it stands."""
    try:
        return person_date(date.fromisoformat(text))
    except ValueError:
        return text


def _listed(title: str, reasons: Iterable[Reason], words: Words) -> Iterator[Block]:
    items = list(dict.fromkeys((reason.code.value, reason_text(reason, words)) for reason in reasons))
    if items:
        yield blocks.heading(4, title)
        yield blocks.points(items)


# --- how it was checked ----------------------------------------------------------------------------------------------


def _how(how: Judgement, words: Words) -> Iterator[Block]:
    yield blocks.heading(2, words("part_how"))
    rows: list[tuple[str, str | None]] = [
        (words("at"), person_time(how.at)),
        (words("generated"), person_time(how.generated_at)),
        (words("policy"), words.known("policy", how.policy)),
        (words("network"), words.known("network", how.network)),
        (words("software"), f"edoc {how.version}"),
        (words("algorithms"), " · ".join(how.algorithms) or None),
        (words("anchors"), str(how.anchors) if how.anchors else words("anchors_none")),
        (words("anchors_digest"), how.anchors_sha256),
    ]
    yield blocks.facts(rows, mono=[words("anchors_digest")])
    if how.trusted:
        yield blocks.heading(4, words("part_anchors"))
        head = (words("subject"), words("validity"), words("purposes"), words("sha256"))
        yield blocks.grid(head, (_anchor(one.certificate, one.purposes, words) for one in how.trusted))


def _anchor(der: bytes, purposes: Sequence[str], words: Words) -> tuple[str, str, str, str]:
    from hashlib import sha256

    used = ", ".join(words.known("purpose", purpose) for purpose in purposes)
    digest = sha256(der).hexdigest()
    try:
        found = certificates.certificate(der)
        span = words(
            "from_to", start=person_date(found.not_valid_before_utc), end=person_date(found.not_valid_after_utc)
        )
        return signatures.subject_text(found.subject.rfc4514_string()), span, used, digest
    except ValueError:
        return "-", "-", used, digest


def _appendix(files: Sequence[Checked], words: Words) -> Iterator[Block]:
    """Return every reason and warning with its code; one line for a text that several signatures share."""
    found = [row for file in files for row in _reason_rows(file.path, file.report, words)]
    found += [(file.path, words("of_file"), r.code.value, reason_text(r, words)) for file in files for r in file.unmet]
    found += [(file.path, words("of_file"), file.fault.code, file.fault.message) for file in files if file.fault]
    places: dict[tuple[str, str, str], dict[str, None]] = {}
    for path, place, code, text in found:
        places.setdefault((path, code, text), {})[place] = None
    if places:
        head = (words("name"), words("code"), words("text"), words("where"))
        yield blocks.heading(2, words("part_appendix"))
        yield blocks.grid(head, ((*key, ", ".join(where)) for key, where in places.items()))


def _reason_rows(path: str, report: Report | None, words: Words) -> Iterator[tuple[str, str, str, str]]:
    if report is None:
        return
    found = [*reasons_of(report), *report.warnings, *(w for s in report.signatures for w in s.warnings)]
    for reason in found:
        if reason.signature is None or "!/" not in reason.signature:
            yield path, reason.signature or words("of_file"), reason.code.value, reason_text(reason, words)
    for name, part in report.parts:
        yield from _reason_rows(f"{path}!/{name}", part, words)
