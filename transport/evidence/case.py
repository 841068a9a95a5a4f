"""One audit at work: the package, the question, and what several steps need to know (ledger.md 10.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING

from signer.report import Code, Indication, Integrity, Report, SignatureReport, Verdict
from signer.trust import Context, TrustStore
from transport.evidence.package import EventFile, Package, StatementFile
from transport.evidence.result import Identity, Result, combined
from transport.ledger.note import VerifierKey

if TYPE_CHECKING:
    from edoc.agencies import Directory
    from signer.xml.profiles import DeclarationInspection, SealInspection

_USES = ("exchange", "agency")
"""Registered certificates that speak for an agency; request and TLS keys speak for a machine."""

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Question:
    """What the caller asks with: trust and moment, the needed steps, a directory, a policy, the program's name."""

    context: Context
    only: tuple[str, ...] = ()
    directory: Directory | None = None
    policy_file: bytes | None = None
    software: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one step says about the package, or about one event."""

    result: Result
    reasons: tuple[str, ...] = ()
    event: str | None = None
    detail: Mapping[str, str] = field(default_factory=lambda: _NOTHING)


@dataclass
class Case:
    """A package under audit; ``container_faults`` come from opening the file."""

    package: Package
    question: Question
    container_faults: tuple[str, ...] = ()
    identities: list[Identity] = field(default_factory=list)
    tokens: dict[str, tuple[Finding, datetime | None]] = field(default_factory=dict)  # judged once, by checkpoint file
    _seals: dict[str, SealInspection] = field(default_factory=dict)
    _declarations: dict[str, DeclarationInspection] = field(default_factory=dict)

    @cached_property
    def context(self) -> Context:
        """The caller's context, with the package's certificates and status answers: they help, they grant nothing."""
        carried = TrustStore(
            intermediates=tuple(data for _, data in self.package.by_role("certificate")),
            crls=tuple(data for _, data in self.package.by_role("crl")),
            ocsps=tuple(data for _, data in self.package.by_role("ocsp")),
        )
        return self.question.context.with_trust(carried)

    @property
    def trusting(self) -> bool:
        """Whether the caller trusts anything at all."""
        return bool(self.question.context.trust.anchors)

    def seal(self, data: bytes) -> SealInspection:
        """Judge a sealed message, once."""
        from signer.xml.profiles import inspect_seal

        digest = sha256(data).hexdigest()
        if digest not in self._seals:
            self._seals[digest] = inspect_seal(data, context=self.context)
        return self._seals[digest]

    def declaration(self, data: bytes) -> DeclarationInspection:
        """Judge a receipt or key statement, once."""
        from signer.xml.profiles import inspect_declaration

        digest = sha256(data).hexdigest()
        if digest not in self._declarations:
            self._declarations[digest] = inspect_declaration(data, context=self.context)
        return self._declarations[digest]

    def word_of(self, report: Report) -> tuple[Result, tuple[str, ...]]:
        """Return the word for a judged file, and the codes that speak against it."""
        result, codes = word_of(report)
        if result is Result.PROVED and not self.trusting:
            return Result.NOT_PROVED, ("no-trust",)
        return result, codes

    # --- keys of logs ------------------------------------------------------------------------------------------------

    def log_keys(self, origin: str) -> tuple[tuple[VerifierKey, StatementFile], ...]:
        """Return every key that a statement of the package announces for a log, with that statement."""
        found = []
        for one in self.package.statements:
            entry = None if one.statement is None else one.statement.log(origin)
            if entry is not None:
                found.append((entry.key, one))
        return tuple(found)

    def bindings(self, origin: str) -> tuple[EventFile, ...]:
        """Return the leaves of a log that may name its key statement."""
        kinds = ("log-opened", "key-changed")
        return tuple(
            one
            for one in self.package.events
            if one.origin == origin and one.leaf is not None and one.leaf.kind in kinds
        )

    @cached_property
    def origins(self) -> tuple[str, ...]:
        """Every log the package speaks of."""
        return tuple(sorted({one.head.origin for one in self.package.checkpoints}))

    # --- agencies ----------------------------------------------------------------------------------------------------

    def same_agency(self, first: str | None, second: str | None) -> bool:
        """Tell whether two codes mean one agency: by spelling, or by the caller's directory."""
        from edoc.agencies import code_key

        if first is None or second is None:
            return first == second
        directory = self.question.directory
        return code_key(first) == code_key(second) or (directory is not None and directory.same(first, second))

    def identify(self, role: str, report: Report, *, code: str | None) -> str | None:
        """Note who a signature says it is; return a reason when the caller's directory speaks against the code."""
        signer = report.signatures[0].signer if report.signatures else None
        if signer is None or signer.certificate_sha256 is None:
            return None
        at = report.signatures[0].best_signature_time
        code = code or self._registered(signer.certificate_sha256, at)
        proved, reason = self._bound(signer.certificate_sha256, code, at)
        identity = Identity(role, signer.organization or signer.name, code, proved, signer.certificate_sha256)
        if identity not in self.identities:
            self.identities.append(identity)
        return reason

    def _registered(self, certificate: str, at: datetime) -> str | None:
        """Return the code of the agency a certificate is registered for, when nobody claimed one."""
        directory, day = self.question.directory, vietnam_day(at)
        found = () if directory is None else (directory.agency_of(certificate, use, day) for use in _USES)
        return next((agency.code for agency in found if agency is not None), None)

    def _bound(self, certificate: str, code: str | None, at: datetime) -> tuple[bool, str | None]:
        directory = self.question.directory
        if directory is None or code is None:
            return False, None
        registered = {one.sha256 for use in _USES for one in directory.certificates(code, use, vietnam_day(at))}
        if certificate in registered:
            return True, None
        return False, "certificate-not-bound" if registered else "agency-unknown"


def vietnam_day(at: datetime) -> date:
    """Return the calendar day in Vietnam."""
    from edoc.values import vietnam_day as day

    return day(at)


def word_of(report: Report) -> tuple[Result, tuple[str, ...]]:
    """Return the word for a judged file by its signatures, and the codes that speak against it."""
    codes = [reason.code.value for reason in report.reasons]
    for one in report.signatures:
        codes += [reason.code.value for reason in one.reasons]
        if one.sub_indication is not None:
            codes.append(one.sub_indication.value)
    words = [_word_of_signature(one) for one in report.signatures]
    if not words:
        missing = report.verdict is not Verdict.INVALID and Code.UNREADABLE.value not in codes
        words = [Result.NOT_PROVED if missing else Result.BROKEN]
    if report.verdict is Verdict.INVALID:
        words.append(Result.BROKEN)
    elif report.verdict is not Verdict.VALID:
        words.append(Result.NOT_PROVED)
    return combined(words), tuple(dict.fromkeys(codes))


def _word_of_signature(one: SignatureReport) -> Result:
    stamps = [stamp for stamp in one.timestamps if stamp.integrity is Integrity.BROKEN]
    if one.integrity is Integrity.BROKEN or one.indication is Indication.FAILED or stamps:
        return Result.BROKEN
    return Result.PROVED if one.indication is Indication.PASSED else Result.NOT_PROVED


def proved(event: str | None = None, **detail: str) -> Finding:
    """Return a finding that speaks for it."""
    return Finding(Result.PROVED, (), event, detail)


def not_proved(reason: str, event: str | None = None, **detail: str) -> Finding:
    """Return a finding that something needed is missing or unknown."""
    return Finding(Result.NOT_PROVED, (reason,), event, detail)


def broken(reason: str, event: str | None = None, **detail: str) -> Finding:
    """Return a finding of a contradiction."""
    return Finding(Result.BROKEN, (reason,), event, detail)


def judged(result: Result, reasons: tuple[str, ...], event: str | None = None, **detail: str) -> Finding:
    """Return a finding with a word already decided."""
    return Finding(result, () if result is Result.PROVED else reasons, event, detail)
