"""A small reader for PNG pictures of signatures and seals (ISO/IEC 15948), within limits, and its inverse.

Read are the forms such pictures come in: grey, true colour and palette, with or without transparency, 8 bits a channel
(palettes also 1, 2 and 4), not interlaced. Colour and opacity come apart, since PDF wants them as two images. Whatever
else is met is refused with a sentence on how to save the picture.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import NoReturn

from signer.errors import InputRefused, LimitExceeded

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_BYTES = 8 * 2**20
MAX_PIXELS = 4_000_000
"""A seal of 60 mm at 600 dpi has two million pixels."""

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


@dataclass(frozen=True, slots=True)
class Picture:
    """Pixels, row by row from the top: ``colour`` has one (grey) or three bytes each, ``opacity`` one or is absent."""

    width: int
    height: int
    grey: bool
    colour: bytes
    opacity: bytes | None
    dpi: float | None = None


@dataclass(slots=True)
class _Chunks:
    header: tuple[int, int, int, int]  # width, height, bit depth, colour type
    palette: bytes = b""
    transparency: bytes = b""
    data: bytes = b""
    dpi: float | None = None


def read_png(data: bytes) -> Picture:
    """Read a picture.

    Raises:
        InputRefused: not a PNG, damaged, or of a form that is not read.
        LimitExceeded: larger than ``MAX_BYTES`` or ``MAX_PIXELS``.
    """
    if not data.startswith(SIGNATURE):
        _refuse("not a PNG file")
    if len(data) > MAX_BYTES:
        raise LimitExceeded("EDOC-PDF-002", "picture too large", limit="picture", value=len(data), unit="byte")
    chunks = _chunks(data)
    width, height, depth, kind = chunks.header
    if width * height > MAX_PIXELS:
        raise LimitExceeded("EDOC-PDF-002", "too many pixels", limit="pixels", value=width * height, unit="pixel")
    channels = _CHANNELS[kind]
    row = (width * channels * depth + 7) // 8
    rows = _unfilter(_inflate(chunks.data, (row + 1) * height), row, height, max(1, channels * depth // 8))
    colour, opacity = _apart(rows, chunks)
    return Picture(width, height, kind in (0, 4), colour, opacity, chunks.dpi)


def write_png(picture: Picture) -> bytes:
    """Write a picture as PNG; the inverse of ``read_png``."""
    channels = (1 if picture.grey else 3) + (picture.opacity is not None)
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    parts = 1 if picture.grey else 3
    columns = [picture.colour[i::parts] for i in range(parts)]
    if picture.opacity is not None:
        columns.append(picture.opacity)
    mixed = bytearray(len(columns[0]) * channels)
    for index, column in enumerate(columns):
        mixed[index::channels] = column
    stride = picture.width * channels
    lines = b"".join(b"\0" + mixed[i : i + stride] for i in range(0, len(mixed), stride))
    header = struct.pack(">IIBBBBB", picture.width, picture.height, 8, kind, 0, 0, 0)
    density = (
        b"" if picture.dpi is None else _chunk(b"pHYs", struct.pack(">IIB", *[round(picture.dpi / 0.0254)] * 2, 1))
    )
    return (
        SIGNATURE + _chunk(b"IHDR", header) + density + _chunk(b"IDAT", zlib.compress(lines, 9)) + _chunk(b"IEND", b"")
    )


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _refuse(why: str) -> NoReturn:
    raise InputRefused("EDOC-PDF-011", f"picture cannot be used: {why}", detail=why)


def _chunks(data: bytes) -> _Chunks:
    found: _Chunks | None = None
    at, pieces = len(SIGNATURE), []
    while at + 12 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + size]
        if len(body) != size or struct.unpack_from(">I", data.ljust(at + 12 + size, b"\0"), at + 8 + size)[
            0
        ] != zlib.crc32(name + body):
            _refuse("damaged")
        at += 12 + size
        if found is None:
            found = _Chunks(_header(name, body))
        elif name == b"PLTE":
            found.palette = body
        elif name == b"tRNS":
            found.transparency = body
        elif name == b"pHYs" and size == 9 and body[8] == 1:
            found.dpi = struct.unpack(">I", body[:4])[0] * 0.0254
        elif name == b"IDAT":
            pieces.append(body)
        elif name == b"IEND":
            found.data = b"".join(pieces)
            return found
    _refuse("damaged")


def _header(name: bytes, body: bytes) -> tuple[int, int, int, int]:
    if name != b"IHDR" or len(body) != 13:
        _refuse("damaged")
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", body)
    if not width or not height or kind not in _CHANNELS:
        _refuse("damaged")
    if interlaced:
        _refuse("interlaced")
    if depth != 8 and not (kind == 3 and depth in (1, 2, 4)):
        _refuse(f"{depth} bits a channel")
    return width, height, depth, kind


def _inflate(data: bytes, size: int) -> bytes:
    worker = zlib.decompressobj()
    try:
        pixels = worker.decompress(data, size + 1)
    except zlib.error:
        _refuse("damaged")
    if len(pixels) != size:
        _refuse("damaged")
    return pixels


def _unfilter(data: bytes, row: int, height: int, step: int) -> bytes:
    """Undo the row filters (ISO/IEC 15948, 9)."""
    before = bytearray(row)
    rows = []
    for y in range(height):
        start = y * (row + 1)
        kind, line = data[start], bytearray(data[start + 1 : start + 1 + row])
        if kind == 1:
            for i in range(step, row):
                line[i] = (line[i] + line[i - step]) & 255
        elif kind == 2:
            line = bytearray((a + b) & 255 for a, b in zip(line, before, strict=True))
        elif kind == 3:
            for i in range(row):
                line[i] = (line[i] + ((line[i - step] if i >= step else 0) + before[i]) // 2) & 255
        elif kind == 4:
            _paeth(line, before, step)
        elif kind:
            _refuse("damaged")
        rows.append(bytes(line))
        before = line
    return b"".join(rows)


def _paeth(line: bytearray, before: bytearray, step: int) -> None:
    for i in range(len(line)):
        left, corner = (line[i - step], before[i - step]) if i >= step else (0, 0)
        above = before[i]
        guess = left + above - corner
        far = (abs(guess - left), abs(guess - above), abs(guess - corner))
        best = left if far[0] <= far[1] and far[0] <= far[2] else above if far[1] <= far[2] else corner
        line[i] = (line[i] + best) & 255


def _apart(rows: bytes, chunks: _Chunks) -> tuple[bytes, bytes | None]:
    """Return colour and opacity."""
    width, height, _, kind = chunks.header
    if kind == 3:
        return _from_palette(rows, chunks)
    if kind in (4, 6):
        channels = _CHANNELS[kind]
        colour = bytearray(width * height * (channels - 1))
        for i in range(channels - 1):
            colour[i :: channels - 1] = rows[i::channels]
        return bytes(colour), rows[channels - 1 :: channels]
    key = chunks.transparency
    if not key:
        return rows, None
    size = _CHANNELS[kind]
    clear = bytes(key[1 : 2 * size : 2])  # one colour stands for "nothing here", 16 bits a channel
    return rows, bytes(0 if rows[i : i + size] == clear else 255 for i in range(0, len(rows), size))


def _from_palette(rows: bytes, chunks: _Chunks) -> tuple[bytes, bytes | None]:
    width, height, depth, _ = chunks.header
    stride, per, mask = (width * depth + 7) // 8, 8 // depth, (1 << depth) - 1
    numbers = bytes(
        (rows[y * stride + x // per] >> (8 - depth - depth * (x % per))) & mask
        for y in range(height)
        for x in range(width)
    )
    if not chunks.palette or len(chunks.palette) % 3 or max(numbers) * 3 >= len(chunks.palette):
        _refuse("damaged")
    tables = [chunks.palette[i::3].ljust(256, b"\0") for i in range(3)]
    colour = bytearray(len(numbers) * 3)
    for i, table in enumerate(tables):
        colour[i::3] = numbers.translate(table)
    opacity = numbers.translate(chunks.transparency[:256].ljust(256, b"\xff")) if chunks.transparency else None
    return bytes(colour), opacity
