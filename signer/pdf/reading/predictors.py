"""Predictors of Flate and LZW (ISO 32000-1, 7.4.4.4): TIFF and PNG rows undone."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate

from signer.pdf.reading.budget import Budget, damaged
from signer.pdf.values import Value

COLUMNS_MAX = 1 << 24


def unpredicted(data: bytes, parameters: Mapping[str, Value], budget: Budget) -> bytes:
    """Undo the predictor that the decode parameters name.

    Raises:
        InputRefused: parameters or rows make no sense; LimitExceeded: too much must be gone through octet by octet.
    """
    predictor = _integer(parameters, "Predictor", 1)
    if predictor <= 1:
        return data
    colors, bits = _integer(parameters, "Colors", 1), _integer(parameters, "BitsPerComponent", 8)
    columns = _integer(parameters, "Columns", 1)
    if predictor != 2 and not 10 <= predictor <= 15:
        raise damaged("predictor")  # some take it for none
    if not 1 <= colors <= 32 or bits not in (1, 2, 4, 8, 16) or not 1 <= columns <= COLUMNS_MAX:
        raise damaged("predictor")
    width = (colors * bits * columns + 7) // 8
    if predictor == 2:
        budget.toil(len(data))
        return _tiff(data, width, colors, bits)
    kinds = data[:: width + 1]
    budget.toil(4 * len(kinds) + (len(kinds) - kinds.count(0) - kinds.count(1) - kinds.count(2)) * width)
    return _png(data, width, max(1, colors * bits // 8))


def _integer(parameters: Mapping[str, Value], key: str, default: int) -> int:
    value = parameters.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise damaged("predictor")
    return default if value is None else value


def _tiff(data: bytes, width: int, colors: int, bits: int) -> bytes:
    if bits not in (8, 16):
        raise damaged("predictor")  # nobody writes these
    step, out = colors * bits // 8, bytearray(data)
    for begin in range(0, len(out), width):
        for at in range(begin + step, min(begin + width, len(out) - bits // 8 + 1), bits // 8):
            size = bits // 8
            left = int.from_bytes(out[at - step : at - step + size], "big")
            total = left + int.from_bytes(out[at : at + size], "big")
            out[at : at + size] = (total & (1 << bits) - 1).to_bytes(size, "big")
    return bytes(out)


def _png(data: bytes, width: int, step: int) -> bytes:
    rows = -(-len(data) // (width + 1))
    out, above = bytearray(), bytes(width)
    for number in range(rows):
        begin = number * (width + 1)
        kind, row = data[begin], bytearray(data[begin + 1 : begin + 1 + width])
        short = len(row)
        row += bytes(width - short)
        _row(kind, row, above, step)
        out += row[:short]
        above = bytes(row)
    return bytes(out)


def _row(kind: int, row: bytearray, above: bytes, step: int) -> None:
    """Undo one row in place."""
    if kind == 0:
        return
    if kind == 2:
        size = len(row)  # all octets at once: the usual predictor of cross-reference streams
        low, high = int.from_bytes(row, "big"), int.from_bytes(above, "big")
        mask = int.from_bytes(b"\x7f" * size, "big")
        total = (low & mask) + (high & mask) ^ (low ^ high) & ~mask & (1 << 8 * size) - 1
        row[:] = total.to_bytes(size, "big")
    elif kind == 1:
        for lane in range(step):
            row[lane::step] = bytes(octet & 0xFF for octet in accumulate(row[lane::step]))
    elif kind == 3:
        for at, up in enumerate(above):
            left = row[at - step] if at >= step else 0
            row[at] = row[at] + (left + up >> 1) & 0xFF
    elif kind == 4:
        for at, up in enumerate(above):
            left, corner = (row[at - step], above[at - step]) if at >= step else (0, 0)
            row[at] = row[at] + _paeth(left, up, corner) & 0xFF
    else:
        raise damaged("predictor")


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    a, b, c = abs(guess - left), abs(guess - up), abs(guess - corner)
    return left if a <= b and a <= c else up if b <= c else corner
