"""From a file to the same file with reserved space, by the fast path or the general one (signing.md 3.4).

The choice is made before a byte is written and changes nothing that a verifier reports.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from signer.errors import InputRefused, LimitExceeded
from signer.pdf import update
from signer.pdf.aiming import aim
from signer.pdf.archival import with_appearance
from signer.pdf.dictionary import Stated, blank
from signer.pdf.filling import wanted_fillings
from signer.pdf.opening import bounded, has_signature, open_pdf, reading, split_trailing
from signer.pdf.options import PdfOptions
from signer.pdf.page import fields, is_shared, pages
from signer.pdf.permitting import check_permitted
from signer.pdf.premade import check_field, lock_of
from signer.pdf.reading import PdfFile
from signer.pdf.refusals import refuse_unsignable
from signer.pdf.reserved import Reserved
from signer.pdf.tail.aim import target_of
from signer.pdf.tail.ordinary import NotOrdinary, Ordinary, check_clean, ordinary
from signer.pdf.tail.words import has_forbidden
from signer.pdf.tail.write import write
from signer.pdf.target import Target
from signer.trust import Limits

FAST, GENERAL = "fast", "general"


@dataclass(frozen=True, slots=True)
class Aimed:
    """A file that can be signed, what the signature adds, and the path it goes."""

    data: bytes
    target: Target
    path: str
    file: Ordinary | None = None

    def reserved(self, options: PdfOptions, reserve: int) -> Reserved:
        """Return the file with ``reserve`` octets for the CMS.

        Raises:
            InputRefused: the file is damaged where it must be changed.
            NotOrdinary: on the fast path, something to be changed is not plain.
        """
        stated = Stated(options.at, options.reason, options.location, options.name)
        form = blank(stated, reserve, self.target.references())
        if self.file is not None:
            written = write(self.file, self.target, form)
            check_clean(self.file.file)
            return written
        with reading("update", signed=has_signature(self.data)):
            return update.write(self.data, self.target, form)


def reserve(data: bytes, options: PdfOptions, room: int, *, digest: str, limits: Limits) -> tuple[Aimed, Reserved]:
    """Check that a file can be signed (K1), decide where the signature goes, and reserve ``room`` octets for it.

    ``digest`` is the hash function of the signature.

    Raises:
        InputRefused: it cannot be signed, or the visible form has no place.
        LimitExceeded: it is over a limit.
    """
    if not options.general:
        try:
            file = ordinary(data, limits=limits)
            aimed = Aimed(data, with_appearance(data, target_of(file, options, limits=limits), file.state), FAST, file)
            return aimed, aimed.reserved(options, room)
        except LimitExceeded:
            raise
        except (NotOrdinary, InputRefused):
            pass  # the general path says why, or can do it
    whole = bytes(data)  # of a mapped file a copy, else the same octets
    aimed = Aimed(whole, with_appearance(whole, _general_target(whole, options, digest, limits)), GENERAL)
    return aimed, aimed.reserved(options, room)


def _is_harmless(file: PdfFile | None, limits: Limits) -> bool:
    """Say whether no action can be a forbidden one, for none is named in the bytes: a walk is not needed then."""
    if file is None or file.hybrid or file.broken_chain:
        return False
    try:
        return not has_forbidden(file, limits=limits)
    except LimitExceeded:
        raise
    except InputRefused:
        return False


def _general_target(data: bytes, options: PdfOptions, digest: str, limits: Limits) -> Target:
    trailing = split_trailing(data)[1]
    if trailing:
        raise InputRefused("EDOC-PDF-005", "bytes behind the end of the file", where="%%EOF")
    file = bounded(data, limits=limits)
    reader = open_pdf(data, limits=limits)
    signed = has_signature(data)
    with reading("pages and fields", signed=signed):
        refuse_unsignable(reader, limits=limits, harmless=_is_harmless(file, limits))
        views = pages(reader)
        known = fields(reader, views)
    existing = None
    if options.field is not None:
        existing = next((one for one in known if one.name == options.field), None)
        if existing is None:
            raise InputRefused("EDOC-PDF-015", "no such field", field=options.field)
        if existing.kind == "/Tx" and wanted_fillings(options):
            existing = None  # the text field is filled, the signature itself is not seen (R35)
    if existing is not None:
        with reading("field", signed=signed):
            check_field(existing, options, digest)
    if options.certify and signed:
        raise InputRefused("EDOC-PDF-040", "only the first signature can certify", field=options.field or "-")
    with reading("fields", signed=signed):
        lock = lock_of(existing) if existing is not None else None
        if lock is not None and options.lock:
            raise InputRefused("EDOC-PDF-010", "the field has a lock of its own", field=options.field)
        target = aim(options, views, known, existing=existing)
        target = replace(target, apart=is_shared(reader, views, target.page))
    if signed:
        for name in (target.name, *(one.name for one in target.fillings)):
            check_permitted(data, name, limits=limits)
    return target if lock is None else target.locking(lock)
