"""The shell of a time-stamp token: the bytes its signature does not cover have one form only (RFC 5652, RFC 3161).

A token's signature covers the stamp and the signed attributes. Versions, the list of digests and empty places around
them are not covered; in our profiles they must be what the standard prescribes, so that no byte of a receipt can be
changed unseen. This module reads DER by itself and knows nothing of time.
"""

from __future__ import annotations

from collections.abc import Iterator

_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
_DIGESTS = frozenset(
    bytes.fromhex(oid)
    for oid in (
        "06052b0e03021a",
        "0609608648016503040201",
        "0609608648016503040202",
        "0609608648016503040203",
        "0609608648016503040208",
        "0609608648016503040209",
        "060960864801650304020a",
    )
)
_SEQUENCE, _SET, _INTEGER, _OCTETS, _ZERO = 0x30, 0x31, 0x02, 0x04, 0xA0
_NULL = b"\x05\x00"


def is_exact(token: bytes) -> bool:
    """Tell whether a token is one signer's SignedData in DER, with nothing unsigned but certificates."""
    try:
        return _is_exact(token)
    except (ValueError, IndexError, StopIteration):
        return False


def _is_exact(token: bytes) -> bool:
    outer = _only(token, _SEQUENCE)
    kind, wrapped = _elements(outer, 2)
    if kind[1] != _SIGNED_DATA or wrapped[0] != _ZERO:
        return False
    fields = list(_walk(_only(_only(wrapped[1], _ZERO), _SEQUENCE)))
    tags = [tag for tag, _ in fields]
    if tags not in ([_INTEGER, _SET, _SEQUENCE, _ZERO, _SET], [_INTEGER, _SET, _SEQUENCE, _SET]):
        return False
    certificates = list(_walk(_only(fields[3][1], _ZERO))) if len(fields) == 5 else []
    if any(tag != _SEQUENCE for tag, _ in certificates):
        return False  # something else than a certificate: readers pass it over
    signers = list(_walk(_only(fields[-1][1], _SET)))
    if fields[0][1] != b"\x02\x01\x03" or len(signers) != 1 or not _content_is_plain(fields[2][1]):
        return False
    _, named = list(_walk(_only(signers[0][1], _SEQUENCE)))[1]
    if named[0] == _SEQUENCE and _only(named, _SEQUENCE) not in [_issuer_and_serial(one) for _, one in certificates]:
        return False  # names are compared without regard to case and blanks, and this one is not signed
    digest = _signer_digest(_only(signers[0][1], _SEQUENCE))
    listed = [_algorithm(whole) for _, whole in _walk(_only(fields[1][1], _SET))]
    return digest is not None and listed == [digest]


def _issuer_and_serial(certificate: bytes) -> bytes:
    """Return issuer and serial number of a certificate as they stand in it, as a SignerInfo names them."""
    _, signed = next(_walk(_only(certificate, _SEQUENCE)))
    body = [element for _, element in _walk(_only(signed, _SEQUENCE))]
    at = 1 if body and body[0][0] == _ZERO else 0
    return body[at + 2] + body[at]


def _content_is_plain(whole: bytes) -> bool:
    _, content = _elements(_only(whole, _SEQUENCE), 2)
    _only(_only(content[1], _ZERO), _OCTETS)
    return True


def _signer_digest(signer: bytes) -> bytes | None:
    """Return the digest's identifier of a SignerInfo in its one form; ``None`` for any other."""
    fields = list(_walk(signer))
    if [tag for tag, _ in fields[2:]] != [_SEQUENCE, _ZERO, _SEQUENCE, _OCTETS]:
        return None
    wanted = {_SEQUENCE: b"\x02\x01\x01", 0x80: b"\x02\x01\x03"}.get(fields[1][0])
    return _algorithm(fields[2][1]) if fields[0][1] == wanted else None


def _algorithm(whole: bytes) -> bytes | None:
    parts = [element for _, element in _walk(_only(whole, _SEQUENCE))]
    if not parts or parts[0] not in _DIGESTS or parts[1:] not in ([], [_NULL]):
        return None
    return parts[0]


def _only(whole: bytes, tag: int) -> bytes:
    """Return the content of an element that is all of ``whole``.

    Raises:
        ValueError: it is not, or has another tag.
    """
    elements = list(_walk(whole))
    if len(elements) != 1 or elements[0][0] != tag:
        raise ValueError("structure")
    return whole[_header(whole, 0)[0] :]


def _elements(content: bytes, count: int) -> list[tuple[int, bytes]]:
    found = list(_walk(content))
    if len(found) != count:
        raise ValueError("structure")
    return found


def _walk(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (tag, whole element) of each element in ``content``.

    Raises:
        ValueError: not DER.
    """
    at = 0
    while at < len(content):
        begin, end = _header(content, at)
        yield content[at], content[at:end]
        at = end
        if begin > end:
            raise ValueError("length")


def _header(content: bytes, at: int) -> tuple[int, int]:
    """Return where an element's content begins and ends; lengths are definite and as short as can be."""
    if at + 2 > len(content):
        raise ValueError("cut off")
    first = content[at + 1]
    begin, size = at + 2, first
    if first >= 0x80:
        count = first & 0x7F
        begin = at + 2 + count
        size = int.from_bytes(content[at + 2 : begin])
        if not 1 <= count <= 4 or begin > len(content) or size < 0x80 or content[at + 2] == 0:
            raise ValueError("length")
    if begin + size > len(content):
        raise ValueError("cut off")
    return begin, begin + size
