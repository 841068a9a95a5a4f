"""What trailer and catalog hold besides pages and form (signing.md 4.3): entries by kind, the unknown is *other*.

Validation data, extensions and metadata may always come; what opens, runs, is attached, layered or permitted may not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from signer.errors import InputRefused, LimitExceeded
from signer.pdf.comparing.equality import Equality
from signer.pdf.comparing.step import Need, Step
from signer.pdf.comparing.view import Dictionary, View
from signer.pdf.values import Name, Stream, Value

_DONE = frozenset({"Type", "Pages", "AcroForm"})
_TRAILER = frozenset(
    {"Root", "Info", "ID", "Size", "Prev", "XRefStm", "Type", "W", "Index", "Length", "Filter", "DecodeParms", "DL"}
)
_KINDS = {
    "OpenAction": "action",
    "AA": "action",
    "URI": "action",
    "Dests": "action",
    "Outlines": "action",
    "AF": "attachment",
    "Collection": "attachment",
    "OCProperties": "layer",
    "PageLabels": "page",
    "MarkInfo": "structure",
    "StructTreeRoot": "structure",
}
_NAMES = {"EmbeddedFiles": "attachment", "JavaScript": "action", "Dests": "action"}
_METADATA = frozenset({"Metadata", "PieceInfo", "LastModified"})


def compare_catalog(step: Step, equal: Equality, structure: Callable[[Step, Equality], bool]) -> None:
    """Note what a step did to trailer and catalog. ``structure`` judges a changed structure tree."""
    _compare_trailer(step, equal)
    before, after = step.before.root, step.after.root
    if step.before.type_of(before, "Catalog") != step.after.type_of(after, "Catalog"):
        step.add("other", Need.FORBIDDEN, key="Type")
    for key in sorted({*before, *after} - _DONE):
        one, other = before.get(key), after.get(key)
        if key == "DSS":
            _compare_validation_data(step, equal)
        elif equal.same(one, other):
            continue
        elif key == "Extensions":
            step.add("validation-data", Need.NOTHING, key=key)
        elif key in _METADATA or (key == "Version" and _rises(step)):
            step.add("metadata", Need.NOTHING, key=key)
        elif key == "Names":
            _compare_names(step, equal)
        elif key == "Perms":
            _compare_permissions(step, equal)
        elif key == "StructTreeRoot" and structure(step, equal):
            step.add("structure", Need.NOTHING, key=key)
        else:
            step.add(_KINDS.get(key, "other"), Need.FORBIDDEN, key=key)


def _compare_trailer(step: Step, equal: Equality) -> None:
    before, after = step.before.document.trailer, step.after.document.trailer
    if not _readable_and_same(equal, before.get("Info"), after.get("Info")):
        step.add("metadata", Need.NOTHING, key="Info")
    if not equal.same(before.get("Encrypt"), after.get("Encrypt")):
        step.add("other", Need.FORBIDDEN, key="Encrypt")


def _readable_and_same(equal: Equality, one: Value, other: Value) -> bool:
    try:
        return equal.same(one, other)
    except LimitExceeded:
        raise
    except InputRefused:
        return False


def _rises(step: Step) -> bool:
    former = step.before.document.resolve(step.before.root.get("Version"))
    now = step.after.document.resolve(step.after.root.get("Version"))
    return isinstance(now, Name) and (
        former is None or (isinstance(former, Name) and _version(now) >= _version(former))
    )


def _version(name: Name) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split(".") if part.isdigit())


def _compare_names(step: Step, equal: Equality) -> None:
    before, after = (
        step.before.dictionary(step.before.root.get("Names")),
        step.after.dictionary(step.after.root.get("Names")),
    )
    for key in sorted({*before, *after}):
        if not equal.same(before.get(key), after.get(key)):
            step.add(_NAMES.get(key, "other"), Need.FORBIDDEN, key=key)


def _compare_permissions(step: Step, equal: Equality) -> None:
    """A certification is named when it is made, by the signature of this step, and stays named."""
    before, after = (
        step.before.dictionary(step.before.root.get("Perms")),
        step.after.dictionary(step.after.root.get("Perms")),
    )
    for key in sorted({*before, *after}):
        if equal.same(before.get(key), after.get(key)):
            continue
        own = key == "DocMDP" and key not in before and _signed_in_this_step(step, after.get(key))
        if not own:
            step.add("signature-altered", Need.FORBIDDEN, key=f"Perms {key}")


def _signed_in_this_step(step: Step, value: Value) -> bool:
    certified = step.after.document.resolve(value)
    return any(
        field.name in step.signed and step.after.document.resolve(field.inherited.get("V")) == certified
        for field in step.after.fields.values()
        if field.kind == "Sig"
    )


def _compare_validation_data(step: Step, equal: Equality) -> None:
    """``/DSS`` may be replaced as a whole; what is lost by that is told."""
    one, other = step.before.root.get("DSS"), step.after.root.get("DSS")
    if equal.same(one, other):
        return
    step.add("validation-data", Need.NOTHING, key="DSS")
    former, now = set(_validation_data(step.before, one)), set(_validation_data(step.after, other))
    if former - now:
        step.lost_validation_data = True


def _validation_data(view: View, value: Value) -> Iterator[bytes]:
    """Go through the digests of certificates and status answers below ``/DSS``."""
    store = view.dictionary(value)
    holders: list[Dictionary] = [store, *map(view.dictionary, view.dictionary(store.get("VRI")).values())]
    for holder in holders:
        for key in ("Certs", "CRLs", "OCSPs", "Cert", "CRL", "OCSP"):
            for item in view.items(holder.get(key)):
                stream = view.document.resolve(item)
                if isinstance(stream, Stream):
                    yield _digest(view, stream)


def _digest(view: View, stream: Stream) -> bytes:
    try:
        return hashlib.sha256(view.document.decoded(stream)).digest()
    except LimitExceeded:
        raise
    except InputRefused:
        return hashlib.sha256(stream.raw).digest()
