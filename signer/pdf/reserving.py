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
from signer.pdf.refusals import refuse_unsignable
from signer.pdf.reserved import Reserved
from signer.pdf.tail.aim import target_of
from signer.pdf.tail.numbers import first_number, new_objects
from signer.pdf.tail.ordinary import NotOrdinary, Ordinary, check_clean, ordinary
from signer.pdf.tail.words import texts_of, words_in
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
    first: int = 0  # the least number of a new object

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
            return update.write(self.data, self.target, form, first=self.first)


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
    if split_trailing(whole)[1]:
        raise InputRefused("EDOC-PDF-005", "bytes behind the end of the file", where="%%EOF")
    look = _Look.at(whole, limits)
    target = with_appearance(whole, _general_target(whole, options, digest, look))
    aimed = Aimed(whole, target, GENERAL, first=first_number(look.texts, look.size + 1, new_objects(target)))
    return aimed, aimed.reserved(options, room)


@dataclass(frozen=True, slots=True)
class _Look:
    """A first look by the reader that counts its work: octets in which the objects are spelled, and whether none of
    them can be a forbidden action, so that no walk is needed to tell."""

    limits: Limits
    texts: tuple[bytes, ...]
    size: int
    harmless: bool

    @classmethod
    def at(cls, data: bytes, limits: Limits) -> _Look:
        """Look at a file.

        Raises:
            InputRefused: it cannot be read; LimitExceeded: it is over a limit.
        """
        file = bounded(data, limits=limits)
        if file is None:
            return cls(limits, (data,), 0, harmless=False)
        stated = file.latest.trailer.get("Size")
        size = stated if isinstance(stated, int) else 0
        try:
            texts = texts_of(file, limits=limits)
        except LimitExceeded:
            raise
        except InputRefused:
            return cls(limits, (data,), size, harmless=False)
        return cls(limits, texts, size, harmless=not file.hybrid and not words_in(texts).forbidden)


def _general_target(data: bytes, options: PdfOptions, digest: str, look: _Look) -> Target:
    limits = look.limits
    reader = open_pdf(data, limits=limits)
    signed = has_signature(data)
    with reading("pages and fields", signed=signed):
        refuse_unsignable(reader, limits=limits, harmless=look.harmless)
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
