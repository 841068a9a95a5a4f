"""Signing a PDF as PAdES B-B or B-T by one incremental update (signing.md 3.1 to 3.4; R28, R30 to R35, R39 to R42).

The order is that of signing.md 2: the file must be signable, the form must have its place, an agency's key needs its
precondition on exactly the bytes about to be signed; only then is the key used. The value is checked with the public
key before it is embedded, and the finished file is read back: it leaves this module only if all signatures in it, old
and new, are intact (R33). Whether the certificate may be used now (K2 to K7) is ``signer.checks``, asked by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from signer.algorithms import Scheme
from signer.credential import Credential, Role
from signer.errors import LevelNotReached, SigningRefused
from signer.pdf.finishing import Form, disagreement, form_for, read_back, stamped, value_for
from signer.pdf.options import FORMS, PdfOptions, Visible
from signer.pdf.remarks import remarks_on_level
from signer.pdf.reserved import Reserved
from signer.pdf.reserving import Aimed, reserve
from signer.pdf.target import Target
from signer.pdf.verify import inspect_pdf
from signer.precondition import Precondition, ask, require
from signer.report import Reason
from signer.timestamp import Timestamper
from signer.trust import Context, Limits

__all__ = ["FORMS", "PdfOptions", "Precondition", "SignedPdf", "Visible", "sign_pdf"]


@dataclass(frozen=True, slots=True)
class SignedPdf:
    """A signed file: its bytes, the field and page of the new signature, the level reached, and the scheme used.

    ``path`` is ``fast`` or ``general``; ``token_size`` the octets of the time stamp, for the next file's options.
    """

    data: bytes = field(repr=False)
    field: str
    page: int | None
    level: str
    scheme: Scheme
    warnings: tuple[Reason, ...] = ()
    path: str = "general"
    token_size: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was signed, not yet in one piece."""

    reserved: Reserved
    target: Target
    path: str
    scheme: Scheme
    token: bytes | None


def sign_pdf(
    data: bytes,
    *,
    credential: Credential,
    options: PdfOptions,
    timestamper: Timestamper | None = None,
    precondition: Precondition | None = None,
    context: Context | None = None,
) -> SignedPdf:
    """Sign a PDF; the result begins with the input, byte for byte.

    ``context`` is what the precondition's report is judged with; an ``agency`` credential needs both.

    Raises:
        TypeError: an agency's credential without precondition and context.
        InputRefused: the file cannot be signed, or the visible form has no place.
        LimitExceeded: the file is over a limit.
        SigningRefused: the role does not sign documents, the precondition does not hold, or an earlier signature of
            the file is broken.
        LevelNotReached: level T and no time stamp.
        CredentialError: the key cannot be used.
    """
    job = Job(credential, options, timestamper, precondition, context)
    done = job.done(data)
    signed = done.reserved.whole()
    if options.read_back:
        read_back(signed, limits=job.limits)
    return result(signed, done, options)


def result(signed: bytes, done: Outcome, options: PdfOptions) -> SignedPdf:
    """Return what is said about a finished file."""
    return SignedPdf(
        signed,
        done.target.name,
        done.target.number,
        f"PAdES-B-{options.level.upper()}",
        done.scheme,
        (
            *disagreement(done.token, options.at),
            *done.target.notes,
            *remarks_on_level(done.reserved.before, done.target.painted),
        ),
        done.path,
        None if done.token is None else len(done.token),
    )


@dataclass(frozen=True, slots=True)
class Job:
    """A key and how it is to sign; see ``sign_pdf``."""

    credential: Credential
    options: PdfOptions
    timestamper: Timestamper | None = None
    precondition: Precondition | None = None
    context: Context | None = None

    def __post_init__(self) -> None:
        require(self.credential, self.precondition, self.context)
        if self.credential.role not in (Role.PERSON, Role.AGENCY):
            raise SigningRefused("EDOC-PDF-019", "this key does not sign documents", role=self.credential.role.value)

    @property
    def limits(self) -> Limits:
        """What reading the file may cost."""
        return self.context.limits if self.context else Limits()

    def done(self, data: bytes) -> Outcome:
        """Sign one file. The input is not copied."""
        options, form = self.options, form_for(self.credential, self.options)
        aimed, reserved = self.ready(data, form, form.room(options))
        if options.level == "t" and self.timestamper is None:
            raise LevelNotReached("EDOC-PDF-022", "level T needs a time stamp", level="PAdES-B-T", missing="TSA")
        self.ask(data)
        while True:
            attributes, value = value_for(reserved, self.credential, form)
            token = stamped(self.timestamper, value) if options.level == "t" and self.timestamper else None
            content = form.template.signed_data(attributes, value, token)
            if len(content) <= reserved.room:
                reserved.embed(content)
                return Outcome(reserved, aimed.target, aimed.path, form.scheme, token)
            # a token larger than any before: once more, with room for it
            aimed, reserved = self.ready(data, form, len(content) * 5 // 4)

    def ready(self, data: bytes, form: Form, room: int) -> tuple[Aimed, Reserved]:
        """Check that the file can be signed, and reserve room in it (K1)."""
        return reserve(data, self.options, room, digest=form.scheme.digest, limits=self.limits)

    def ask(self, data: bytes) -> None:
        """Ask an agency's precondition about exactly the bytes about to be signed (R28, K8).

        Raises:
            SigningRefused: it objects.
        """
        ask(self.credential, self.precondition, self.context, lambda context: inspect_pdf(data, context=context))
