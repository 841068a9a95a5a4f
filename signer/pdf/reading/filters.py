"""Filters of streams (ISO 32000-1, 7.4): what comes out of Flate, LZW, ASCII and run-length coding, with predictors.

Picture filters (DCT, JPX, CCITT, JBIG2) end the decoding: their data are compared as they stand. Every step is counted
by the budget, before its result is held. Damaged data are no data, for every reader makes something else of them; only
where a file could not be read at all otherwise may decoding be lenient.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Mapping, Sequence

from signer.pdf.reading.budget import Budget, damaged, over
from signer.pdf.reading.predictors import unpredicted
from signer.pdf.values import Value

PICTURES = frozenset({"DCTDecode", "DCT", "JPXDecode", "CCITTFaxDecode", "CCF", "JBIG2Decode"})
_SHORT = {
    "AHx": "ASCIIHexDecode",
    "A85": "ASCII85Decode",
    "LZW": "LZWDecode",
    "Fl": "FlateDecode",
    "RL": "RunLengthDecode",
}
FILTERS_MAX = 16
"""Filters of one stream."""
_BLANK = b"\0\t\n\f\r "


def decode(
    raw: bytes, filters: Sequence[tuple[str, Mapping[str, Value]]], budget: Budget, *, lenient: bool = False
) -> bytes:
    """Undo filters in order; a picture filter ends it. ``lenient`` returns what can be had of damaged data.

    Raises:
        InputRefused: a filter is unknown or its data damaged; LimitExceeded: too much comes out.
    """
    if len(filters) > FILTERS_MAX:
        over("pdf_nesting", len(filters), "level")
    data = raw
    for name, parameters in filters:
        name = _SHORT.get(name, name)
        if name in PICTURES:
            return data
        if name == "Crypt":
            continue  # the decryption's business
        data = _decoded(name, data, parameters, budget, lenient=lenient, room=budget.room(len(raw)))
        budget.decode(len(data), len(raw))
    return data


def _decoded(
    name: str, data: bytes, parameters: Mapping[str, Value], budget: Budget, *, lenient: bool, room: int
) -> bytes:
    """Undo one filter; ``room`` is what may come out."""
    if name == "FlateDecode":
        return unpredicted(_flate(data, budget, lenient=lenient, room=room), parameters, budget)
    if name == "LZWDecode":
        early = parameters.get("EarlyChange", 1)
        if early not in (0, 1) or not isinstance(early, int):
            raise damaged("LZWDecode")
        budget.toil(2 * len(data))
        return unpredicted(_lzw(data, early != 0, room), parameters, budget)
    if name == "ASCIIHexDecode":
        return _hexadecimal(data)
    if name == "ASCII85Decode":
        budget.toil(len(data))
        return _base85(data, lenient=lenient)
    if name == "RunLengthDecode":
        budget.toil(len(data))
        return _run_lengths(data, room)
    raise damaged(f"filter {name[:40]}")


def _flate(data: bytes, budget: Budget, *, lenient: bool, room: int) -> bytes:
    """Inflate; a wrong or missing checksum or a missing end is passed over, as readers do."""
    tries = [(data, zlib.MAX_WBITS)]
    if len(data) > 2 and data[0] & 15 == 8 and not (data[0] << 8 | data[1]) % 31 and not data[1] & 32:
        tries.append((data[2:], -zlib.MAX_WBITS))  # all but the checksum
    if lenient:
        tries.append((data.lstrip(b"\r\n"), zlib.MAX_WBITS))
    for begin, bits in tries:
        engine = zlib.decompressobj(bits)
        try:
            out = engine.decompress(begin, room + 1)
        except zlib.error:
            continue
        if len(out) > room:
            budget.decode(len(out), len(data))
            over("pdf_decoded_bytes", len(out), "byte")
        return out
    if not lenient:
        raise damaged("FlateDecode")
    return _piecewise(data, room)


def _piecewise(data: bytes, room: int) -> bytes:
    """Return what can be inflated of damaged data."""
    engine, out = zlib.decompressobj(), bytearray()
    try:
        for at in range(0, len(data), 256):
            out += engine.decompress(data[at : at + 256], room + 1 - len(out))
            if len(out) > room:
                over("pdf_decoded_bytes", len(out), "byte")
    except zlib.error:
        pass
    if not out:
        raise damaged("FlateDecode")
    return bytes(out)


def _lzw(data: bytes, early: bool, room: int) -> bytes:
    out, table, width, buffer, bits = bytearray(), _lzw_table(), 9, 0, 0
    former = b""
    for octet in data:
        buffer, bits = (buffer << 8 | octet) & 0xFFFFFF, bits + 8
        if bits < width:
            continue
        bits -= width
        code = buffer >> bits & (1 << width) - 1
        if code == 257:
            break
        if code == 256:
            table, width, former = _lzw_table(), 9, b""
            continue
        if code < len(table):
            entry = table[code]
        elif code == len(table) and former:
            entry = former + former[:1]
        else:
            raise damaged("LZWDecode")
        out += entry
        if len(out) > room:
            over("pdf_decoded_bytes", len(out), "byte")
        if former and len(table) < 4096:
            table.append(former + entry[:1])
        former = entry
        size = len(table) + early
        width = 9 if size < 512 else 10 if size < 1024 else 11 if size < 2048 else 12
    return bytes(out)


def _lzw_table() -> list[bytes]:
    return [bytes((value,)) for value in range(256)] + [b"", b""]


def _hexadecimal(data: bytes) -> bytes:
    digits = data.split(b">", 1)[0].translate(None, _BLANK)
    try:
        return binascii.unhexlify(digits + b"0" * (len(digits) % 2))
    except binascii.Error:
        raise damaged("ASCIIHexDecode") from None


def _base85(data: bytes, *, lenient: bool) -> bytes:
    plain = data.translate(None, _BLANK)
    body = (plain.removeprefix(b"<~") if lenient else plain).split(b"~", 1)[0]
    if not re.fullmatch(rb"[!-uz]*", body):
        raise damaged("ASCII85Decode")
    try:
        return base64.a85decode(body)
    except ValueError:
        raise damaged("ASCII85Decode") from None


def _run_lengths(data: bytes, room: int) -> bytes:
    out, at = bytearray(), 0
    while at < len(data) and data[at] != 128:
        length = data[at]
        if length < 128:
            out += data[at + 1 : at + 2 + length]
            at += 2 + length
        else:
            out += data[at + 1 : at + 2] * (257 - length)
            at += 2
        if len(out) > room:
            over("pdf_decoded_bytes", len(out), "byte")
    return bytes(out)
