"""What the vectors of verification are made with: people, authorities, forges; and the line a vector must give.

A vector is one file made anew in every run, judged as the console judges it, with one whole expected line
(signing.md 8 and 10, A1). Nothing here is copied from another program or project.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property

from signer.algorithms import PolicyName, Scheme
from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, DevTimestamper, Subject
from signer.pdf.sign import PdfOptions, Visible, sign_pdf
from signer.report import Code, Report, SignatureReport
from signer.trust import Content, Context, TrustStore
from signer.xml.sign import sign_xml
from tests.containers import agency_container
from tests.signer_pdf.attackforge import Forge, Ink, Paper
from tests.signer_pdf.files import simple
from transport.judging.files import Judging

DAY = timedelta(days=1)
LETTER = b"<letter><text>noi dung</text></letter>"
LEADER = Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A", title="Phó Giám đốc")
CLERK = Subject("Trần Thị Mẫu", organization="Sở Mẫu A")
VISIBLE = Ink(b"300 200 400 250", b"BT /F1 9 Tf (Da ky) Tj ET")


@dataclass(frozen=True)
class House:
    """An authority whose certificates name no status source, one whose certificates do, and a moment."""

    pki: DevPki
    listed: DevPki
    now: datetime

    @classmethod
    def build(cls, now: datetime) -> House:
        """Make both authorities."""
        begin = now - 400 * DAY
        return cls(DevPki.create(at=begin), DevPki.create(at=begin, base_url="http://127.0.0.1:9"), now)

    # --- people ---

    @cached_property
    def person(self) -> DevIdentity:
        """The leader."""
        return self.pki.issue(Role.PERSON, LEADER)

    @cached_property
    def second(self) -> DevIdentity:
        """Another person."""
        return self.pki.issue(Role.PERSON, CLERK)

    @cached_property
    def rsa(self) -> DevIdentity:
        """A person with an RSA key."""
        return self.pki.issue(Role.PERSON, CLERK, key_type="rsa2048")

    @cached_property
    def agency(self) -> DevIdentity:
        """The agency."""
        return self.pki.issue(Role.AGENCY, Subject("Sở Mẫu A", organization="Sở Mẫu A", tax_number="0100000001"))

    @cached_property
    def exchange(self) -> DevIdentity:
        """The agency's exchange key."""
        return self.pki.issue(Role.EXCHANGE, Subject("Sở Mẫu A", organization="Sở Mẫu A", tax_number="0100000001"))

    @cached_property
    def clerk(self) -> DevIdentity:
        """A person whose certificate names its status sources."""
        return self.listed.issue(Role.PERSON, CLERK)

    def revoking(self, pki: DevPki) -> DevPki:
        """Return an authority with its own list of revoked certificates."""
        return replace(pki, revoked={})

    def stamps(self, at: datetime | None = None, pki: DevPki | None = None) -> DevTimestamper:
        """Return a time-stamping authority whose clock stands still."""
        return DevTimestamper(pki or self.pki, lambda: at or self.now)

    # --- files ---

    def xml(
        self,
        who: DevIdentity | None = None,
        *,
        stamped: datetime | None = None,
        at: datetime | None = None,
        pki: DevPki | None = None,
    ) -> bytes:
        """Return signed XML, with a time stamp of that moment if one is given."""
        stamps = self.stamps(stamped, pki) if stamped else None
        moment = at or stamped or self.now
        credential = (who or self.person).credential
        return sign_xml(LETTER, credential=credential, at=moment, level="t" if stamps else "b", timestamper=stamps)

    @cached_property
    def plain(self) -> bytes:
        """A PDF of one page, unsigned."""
        return simple()

    @cached_property
    def small(self) -> bytes:
        """The same, signed without anything visible, at level B."""
        return self.pdf(self.plain)

    def pdf(self, data: bytes, who: DevIdentity | None = None, *, visible: Visible | None = None) -> bytes:
        """Return a PDF signed by a person."""
        options = PdfOptions(at=self.now, level="b", visible=visible)
        return sign_pdf(data, credential=(who or self.person).credential, options=options).data

    @cached_property
    def forge(self) -> Forge:
        """A forge of PDF files with the leader's key."""
        return Forge(self.person.credential, Scheme.ECDSA_SHA256)

    @cached_property
    def letter(self) -> Paper:
        """The forge's document of two pages, visibly signed by the leader."""
        return self.forge.sign(Paper.new(), b"Lanh dao", VISIBLE)

    def asic(self, *members: tuple[str, bytes, str]) -> bytes:
        """Return a container, by default with one object."""
        given = members or (("a.txt", b"content", "text/plain"),)
        return agency_container(given, credential=self.person.credential, at=self.now)

    # --- contexts ---

    def context(
        self, *contents: Content, pki: DevPki | None = None, at: datetime | None = None, policy: str = "interop"
    ) -> Context:
        """Return how files are judged: trusting the authority, with its lists of that moment."""
        moment = at or self.now
        return Context((pki or self.pki).trust(at=moment), moment, PolicyName(policy), contents=contents)

    def trusting(self, trust: TrustStore, *, at: datetime | None = None) -> Context:
        """Return how files are judged under this trust alone."""
        return Context(trust, at or self.now, PolicyName.INTEROP)

    def case(self, data: bytes, context: Context | None = None) -> Case:
        """Return a file with how it is judged."""
        return Case(data, Judging(context or self.context()))


@dataclass(frozen=True)
class Case:
    """A file, and everything it is judged with."""

    data: bytes
    judging: Judging

    @cached_property
    def report(self) -> Report:
        """What is said of it."""
        return self.judging.judge(self.data)


@dataclass(frozen=True)
class Line:
    """One answer, whole: of the file, and of one of its signatures (none: ``sub`` and the rest are ``-``)."""

    verdict: str
    integrity: str = "-"
    crypto: str = "-"
    covers: str = "-"
    later: str = "-"
    indication: str = "-"
    sub: str | None = "-"

    @classmethod
    def of(cls, report: Report, one: SignatureReport | None) -> Line:
        """Return what a report says."""
        if one is None:
            return cls(report.verdict.value)
        sub = None if one.sub_indication is None else one.sub_indication.value
        bytes_ = (one.integrity.value, one.crypto.value, one.covers.value, one.later_changes.value)
        return cls(report.verdict.value, *bytes_, one.indication.value, sub)


PASSED = Line("valid", "intact", "ok", "whole-document", "none", "TOTAL-PASSED", None)


def passed(**other: str) -> Line:
    """Return the line of a valid file, but for what is given."""
    return replace(PASSED, **other)


def failed(sub: Code, **other: str) -> Line:
    """Return the line of an invalid file whose mathematics hold, but for what is given."""
    return replace(
        PASSED, **{"verdict": "invalid", "integrity": "broken", "indication": "TOTAL-FAILED", **other}, sub=sub
    )


def undecided(sub: Code, **other: str) -> Line:
    """Return the line of an intact file that is not decided, but for what is given."""
    return replace(PASSED, **{"verdict": "indeterminate", "indication": "INDETERMINATE", **other}, sub=sub)


UNKNOWN = {"integrity": "unknown", "crypto": "unknown"}


@dataclass(frozen=True)
class Vector:
    """A file that makes a code be said: how it is made and the line that is expected."""

    code: Code
    what: str
    make: Callable[[House], Case]
    line: Line
    where: str = "reasons"  # or warnings
    signature: str | None = None  # id; by default the first
    facts: tuple[str, ...] = field(default=())  # what the sentence must name

    @property
    def id(self) -> str:
        """The name of the test."""
        return f"{self.code.value}: {self.what}"


def chosen(report: Report, vector: Vector) -> SignatureReport | None:
    """Return the signature a vector speaks of."""
    if vector.line.indication == "-":
        assert vector.signature is None
        return None
    wanted = vector.signature
    found = [one for one in report.signatures if wanted is None or one.id == wanted]
    assert found, [one.id for one in report.signatures]
    return found[0]


def said(report: Report, one: SignatureReport | None, where: str) -> tuple[Code, ...]:
    """Return the codes of the file and of the signature."""
    listed = [*getattr(report, where), *(getattr(one, where) if one is not None else ())]
    return tuple(reason.code for reason in listed)
