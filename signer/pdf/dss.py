"""Updates that are no signature: ``/DSS`` with validation data, and the document time stamp (EN 319 142-1, 5.4).

Promises (signing.md 3.1): output = input ‖ tail; what ``/DSS`` held stays, ``/VRI`` included, which is never written;
the values are the octets handed in. A document time stamp is an invisible signature field of its own,
``/DocTimeStamp`` with ``ETSI.RFC3161``, whose token is over the whole file but its own place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name

from signer.errors import InputRefused
from signer.pdf.archival import with_appearance
from signer.pdf.dictionary import NUMBER_WIDTH, Blank
from signer.pdf.formtree import fields_of, pages_of
from signer.pdf.objects import dictionary, entry
from signer.pdf.opening import check_size, open_pdf, reading, split_trailing
from signer.pdf.reading import PdfFile
from signer.pdf.reserved import Reserved
from signer.pdf.target import Target
from signer.pdf.update import Raw, Writer, identify, section, write
from signer.pdf.validation import validation_data
from signer.pdf.values import Stream
from signer.pdf.writing import encode
from signer.trust import Limits, TrustStore

_RANGE = b"[" + b" ".join([b"0" * NUMBER_WIDTH] * 4) + b"]"
_HEAD = b"<< /Type /DocTimeStamp /Filter /Adobe.PPKLite /SubFilter /ETSI.RFC3161 /ByteRange "
_OUR_NAME = re.compile(r"Signature([1-9]\d{0,8})")


@dataclass(frozen=True, slots=True)
class Material:
    """Validation data (DER) in the order in which it is written."""

    certificates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    ocsps: tuple[bytes, ...] = ()

    def __bool__(self) -> bool:
        """Say whether there is any."""
        return bool(self.certificates or self.crls or self.ocsps)

    def without(self, held: TrustStore) -> Material:
        """Return what the store does not hold."""
        pairs = (self.certificates, held.intermediates), (self.crls, held.crls), (self.ocsps, held.ocsps)
        return Material(*(tuple(one for one in dict.fromkeys(new) if one not in set(old)) for new, old in pairs))


def check_extendable(data: bytes, *, limits: Limits) -> None:
    """Refuse a file that no update can be appended to.

    Raises:
        InputRefused: no PDF, damaged, encrypted, or with bytes behind its end; LimitExceeded: over a limit.
    """
    check_size(data, limits)
    if split_trailing(data)[1]:
        raise InputRefused("EDOC-PDF-006", "bytes behind the end of the file", where="%%EOF")
    open_pdf(data, limits=limits)


def held_data(data: bytes, *, limits: Limits) -> TrustStore:
    """Return what ``/DSS`` of the file holds, each value as it stands."""
    return validation_data(PdfFile(data, limits=limits).latest)


def with_material(data: bytes, material: Material) -> bytes:
    """Return the file with validation data added to ``/DSS`` by one update; without any, the file as it is.

    Raises:
        InputRefused: the file is damaged where it must be changed.
    """
    if not material:
        return data
    with reading("update", signed=True):
        writer = Writer(BytesIO(data), strict=True)
        identify(writer, data, b"".join((*material.certificates, *material.crls, *material.ocsps)))
        store = _store(writer)
        for key, values in (("Certs", material.certificates), ("CRLs", material.crls), ("OCSPs", material.ocsps)):
            if values:
                _append(writer, store, key, values)
        return data + bytes(section(writer, data))


def _store(writer: Writer) -> generic.DictionaryObject:
    """Return ``/DSS``, made if there is none; where it is will be written anew."""
    root = writer.root
    held = entry(root, "/DSS")
    if isinstance(held, generic.DictionaryObject) and not isinstance(held, generic.StreamObject):
        return held
    made = dictionary({"Type": pdf_name("/DSS")})
    root[pdf_name("/DSS")] = writer.add_object(made)
    writer.update_root()  # type: ignore[no-untyped-call]
    return made


def _append(writer: Writer, store: generic.DictionaryObject, key: str, values: Sequence[bytes]) -> None:
    listed = entry(store, f"/{key}")
    added = [writer.add_object(Raw(encode(Stream({}, value)))) for value in values]
    if isinstance(listed, generic.ArrayObject):
        listed.extend(added)
        writer.update_container(listed)
        return
    store[pdf_name(f"/{key}")] = generic.ArrayObject(added)
    writer.update_container(store)


def stamp_place(data: bytes, room: int, *, limits: Limits) -> Reserved:
    """Return the file with a document time stamp whose ``room`` octets are still empty.

    Raises:
        InputRefused: the file has no page that can be written, or is damaged; LimitExceeded: a budget is used up.
    """
    state = PdfFile(data, limits=limits).latest
    pages = pages_of(state)
    page = pages[0].reference if pages else None
    if page is None:
        raise InputRefused("EDOC-PDF-016", "no such page", page=1, pages=0)
    target = with_appearance(data, Target(_free_name([one.name for one in fields_of(state, pages)]), page), state)
    with reading("update", signed=True):
        return write(data, target, _blank(room))


def _free_name(names: Sequence[str]) -> str:
    """Return the lowest free ``Signature<n>``; a name of ancestors is taken too."""
    tops = {name.partition(".")[0] for name in names}
    taken = {int(match[1]) for name in tops if (match := _OUR_NAME.fullmatch(name))}
    return f"Signature{next(n for n in range(1, len(taken) + 2) if n not in taken)}"


def _blank(room: int) -> Blank:
    middle = _HEAD + _RANGE + b" /Contents "
    gap = (len(middle), len(middle) + 2 * room + 2)
    return Blank(b"%b<%b> >>" % (middle, b"0" * (2 * room)), len(_HEAD), gap)
