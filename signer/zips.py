"""ZIP for containers: a strict reader with bounds, and a deterministic writer (signing.md 6, Z1, Z2; ledger.md 10.1).

The reader accepts only files that every reader sees alike: one directory, local and central headers that agree, members
that follow one another without gap or overlap, nothing before, between or behind them; stored or deflated, never
encrypted. Names are relative, in NFC, and different even without regard to letter case. The writer stores members
uncompressed, dated 1980-01-01, without extra fields: same input, same bytes.
"""

from __future__ import annotations

import re
import struct
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from signer.errors import InputRefused, LimitExceeded
from signer.trust import Limits

COMMENT_MAX_BYTES = 65_535
"""Comment of the file: EN 319 162-1 allows ``mimetype=…`` there, DigiDoc software says who wrote it."""
NAME_MAX_BYTES = 1024
VERSION_MAX = 63
"""Version of the format that a member may need: 6.3; other readers refuse what needs more."""
RATIO_FREE_BYTES = 1 << 20
"""Members up to this size are not asked about their compression ratio."""

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_64 = struct.Struct("<4sIQI")
_UTF8, _DESCRIPTOR, _DEFLATE_HINTS = 0x0800, 0x0008, 0x0006
_DESCRIPTOR_MARK = b"PK\x07\x08"
_DATE_1980 = 0x0021
_FOLDER_BIT = 0x10  # what DOS and Windows know a folder by
_ZIP64, _UNICODE_PATH = 0x0001, 0x7075
_REFUSED_EXTRA = {0x9901: "encryption", 0x0017: "encryption"}
_LARGE, _MANY = 0xFFFFFFFF, 0xFFFF
_MARK = re.compile(rb"PK[\x01-\x08]")  # where a record begins
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]|^[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class Member:
    """A member as read: its name and bytes, and how it was stored."""

    name: str
    data: bytes
    stored: bool
    plain: bool  # no extra field, dated 1980-01-01


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    raw_name: bytes
    flags: int
    method: int
    stamp: tuple[int, int]
    crc: int
    packed: int
    size: int
    offset: int
    extra: bytes
    is_folder: bool = field(default=False)
    is_large: bool = field(default=False)  # sizes in eight octets


@dataclass(frozen=True, slots=True)
class _Directory:
    """Where the directory lies, how many entries it has, and where what belongs to it ends."""

    start: int
    end: int
    count: int


def write_zip(members: Sequence[tuple[str, bytes]]) -> bytes:
    """Write members in the given order, stored, dated 1980-01-01.

    Raises:
        ValueError: a name that a strict reader refuses, twice the same name, or too large for ZIP without extensions.
    """
    body, directory, seen = bytearray(), bytearray(), set[str]()
    for name, data in members:
        problem = name_problem(name)
        if problem is not None or _folded(name) in seen:
            raise ValueError(f"a member's name is not safe or not unique: {problem or name}")
        seen.add(_folded(name))
        raw, offset = name.encode("utf-8"), len(body)
        flags = 0 if name.isascii() else _UTF8
        common = (flags, 0, 0, _DATE_1980, zlib.crc32(data), len(data), len(data))
        body += _LOCAL.pack(b"PK\x03\x04", 10, *common, len(raw), 0) + raw + data
        directory += _CENTRAL.pack(b"PK\x01\x02", 20, 10, *common, len(raw), 0, 0, 0, 0, 0, offset) + raw
    if len(body) + len(directory) > 0xFFFFFFFE or len(members) > 0xFFFE:
        raise ValueError("too large for a container")
    end = _END.pack(b"PK\x05\x06", 0, 0, len(members), len(members), len(directory), len(body), 0)
    return bytes(body + directory + end)


def read_zip(data: bytes, *, limits: Limits) -> tuple[Member, ...]:
    """Read every member, in the order in which they lie in the file.

    Raises:
        InputRefused: not a ZIP, or one that readers could see differently (Z1, Z2).
        LimitExceeded: too many members, too large when expanded, or compressed too much.
    """
    try:
        entries = _directory(data, limits)
    except struct.error:
        raise _malformed("directory") from None
    _check_names(entries)
    _check_sizes(entries, limits)
    position, members = 0, []
    for entry in sorted(entries, key=lambda e: e.offset):
        if entry.offset != position:
            raise _malformed("gap or overlap", name=entry.name)
        try:
            start = _local_header(data, entry)
        except struct.error:
            raise _malformed("local header", name=entry.name) from None
        end = start + entry.packed
        content = _expand(data[start:end], entry)
        position = _behind(data, end, entry)
        if not entry.is_folder:
            plain = not entry.extra and entry.stamp == (0, _DATE_1980)
            members.append(Member(entry.name, content, entry.method == 0, plain))
    if position != _place(data).start:
        raise _malformed("gap before the directory")
    return tuple(members)


def _malformed(where: str, *, name: str = "") -> InputRefused:
    shown = f"{where}: {name}" if name else where
    return InputRefused("EDOC-SIG-010", f"not a container that all readers see alike ({shown})", where=shown)


def zip_comment(data: bytes) -> bytes:
    """Return the comment of the file.

    Raises:
        InputRefused: it is no ZIP.
    """
    return data[_end(data)[0] + _END.size :]


def _end(data: bytes) -> tuple[int, tuple[int, ...]]:
    """Find the end record: exactly at the end of the file, its comment included."""
    at = data.rfind(b"PK\x05\x06", max(0, len(data) - _END.size - COMMENT_MAX_BYTES))
    if at < 0 or at + _END.size > len(data):
        raise _malformed("end record")
    _, *fields = _END.unpack_from(data, at)
    comment = data[at + _END.size :]
    if len(comment) != fields[6] or _MARK.search(comment):
        raise _malformed("trailing data")
    return at, tuple(fields)


def _place(data: bytes) -> _Directory:
    """Find the directory; of a file with long sizes both end records must agree."""
    end, (disk, start_disk, here, total, size, start, _) = _end(data)
    if disk or start_disk or here != total:
        raise _malformed("several disks")
    locator = end - _LOCATOR_64.size
    if locator < 0 or data[locator : locator + 4] != b"PK\x06\x07":
        if _LARGE in (size, start) or total == _MANY:
            raise _malformed("end record")
        found = _Directory(start, end, total)
    else:
        found = _place_64(data, locator, (total, size, start))
        size = found.end - found.start
    if found.start + size != found.end:
        raise _malformed("directory")
    return found


def _place_64(data: bytes, locator: int, short: tuple[int, int, int]) -> _Directory:
    _, disk, at, disks = _LOCATOR_64.unpack_from(data, locator)
    if disk or disks != 1 or at + _END_64.size != locator:
        raise _malformed("end record")
    mark, length, _, _, disk, start_disk, here, total, size, start = _END_64.unpack_from(data, at)
    if mark != b"PK\x06\x06" or length != _END_64.size - 12 or disk or start_disk or here != total:
        raise _malformed("end record")
    unset = (_MANY, _LARGE, _LARGE)
    if any(a not in (b, none) for a, b, none in zip(short, (total, size, start), unset, strict=True)):
        raise _malformed("end record")
    if start + size != at:
        raise _malformed("directory")
    return _Directory(start, at, total)


def _directory(data: bytes, limits: Limits) -> list[_Entry]:
    place = _place(data)
    if place.count > limits.zip_members:
        raise _over("zip_members", place.count)
    entries, at = [], place.start
    for _ in range(place.count):
        entry, at = _central_header(data, at, place.end)
        entries.append(entry)
    if at != place.end:
        raise _malformed("directory")
    return entries


def _central_header(data: bytes, at: int, end: int) -> tuple[_Entry, int]:
    (mark, _, needed, flags, method, time, date, crc, packed, size, name_size, extra_size, comment_size, disk, _,
     external, offset) = _CENTRAL.unpack_from(data, at)  # fmt: skip
    name_at = at + _CENTRAL.size
    after = name_at + name_size + extra_size + comment_size
    if mark != b"PK\x01\x02" or after > end or disk or name_size > NAME_MAX_BYTES:
        raise _malformed("directory")
    if needed > VERSION_MAX:
        raise _malformed("version needed")
    if _MARK.search(data[after - comment_size : after]):
        raise _malformed("comment")
    raw = data[name_at : name_at + name_size]
    extra = data[name_at + name_size : name_at + name_size + extra_size]
    name = _decode(raw, flags)
    if flags & ~(_UTF8 | _DESCRIPTOR | _DEFLATE_HINTS) or method not in {0, 8}:
        raise _malformed("encrypted or unknown compression", name=name)
    if (external >> 16) & 0o170000 not in {0, 0o100000, 0o040000}:
        raise _malformed("not a plain file", name=name)
    _check_extra(extra, name)
    size, packed, offset, large = _long_sizes(extra, (size, packed, offset), name)
    if method == 0 and packed != size:
        raise _malformed("size", name=name)
    folder = name.endswith("/")
    if not folder and ((external >> 16) & 0o170000 == 0o040000 or external & _FOLDER_BIT):
        raise _malformed("file and folder of one name", name=name)
    if folder and size:
        raise _malformed("folder with content", name=name)
    return _Entry(name, raw, flags, method, (time, date), crc, packed, size, offset, extra, folder, large), after


def _decode(raw: bytes, flags: int) -> str:
    """Return a name; many writers have UTF-8 without saying so, and nothing else is taken for text."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise _malformed("name in an unknown encoding") from None


def _fields(extra: bytes, name: str) -> list[tuple[int, bytes]]:
    at, found = 0, []
    while at < len(extra):
        if at + 4 > len(extra):
            raise _malformed("extra field", name=name)
        kind, size = struct.unpack_from("<2H", extra, at)
        if at + 4 + size > len(extra):
            raise _malformed("extra field", name=name)
        found.append((kind, extra[at + 4 : at + 4 + size]))
        at += 4 + size
    return found


def _check_extra(extra: bytes, name: str) -> None:
    kinds = []
    for kind, value in _fields(extra, name):
        if kind in _REFUSED_EXTRA:
            raise _malformed(f"extra field {_REFUSED_EXTRA[kind]}", name=name)
        if kind == _UNICODE_PATH and (value[:1] != b"\x01" or value[5:] != name.encode("utf-8")):
            raise _malformed("extra field unicode path", name=name)
        if kind in (_ZIP64, _UNICODE_PATH):
            kinds.append(kind)
    if len(set(kinds)) != len(kinds):
        raise _malformed("extra field", name=name)


def _long_sizes(extra: bytes, stated: tuple[int, ...], name: str) -> tuple[int, int, int, bool]:
    """Return size, packed size and offset, those not stated in four octets from the field that has eight."""
    values = next((value for kind, value in _fields(extra, name) if kind == _ZIP64), None)
    wanted = [place for place, number in enumerate(stated) if number == _LARGE]
    if values is None:
        if wanted:
            raise _malformed("extra field zip64", name=name)
        return stated[0], stated[1], stated[2], False
    if len(values) != 8 * len(wanted) and not (not wanted and len(values) in (0, 8, 16, 24)):
        raise _malformed("extra field zip64", name=name)
    found = list(stated)
    for place, number in zip(wanted, struct.iter_unpack("<Q", values), strict=False):
        found[place] = number[0]
    return found[0], found[1], found[2], bool(wanted)


def name_problem(name: str) -> str | None:
    """Say why a name is not safe: absolute, upward, not NFC, with control characters …; ``None`` if it is."""
    parts = name.removesuffix("/").split("/")
    if not name or any(part in {"", ".", ".."} for part in parts):
        return f"name {name!r}"
    if _FORBIDDEN.search(name) or unicodedata.normalize("NFC", name) != name:
        return f"name {name!r}"
    if any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in name):
        return f"name {name!r}"
    return "name too long" if len(name.encode("utf-8")) > NAME_MAX_BYTES else None


def _folded(name: str) -> str:
    """Return what is equal for names that some file systems take for one: without case, dots and spaces at ends."""
    parts = unicodedata.normalize("NFC", name.casefold()).split("/")
    return "/".join(part.rstrip(". ") or part for part in parts)


def stated_bytes(data: bytes, *, limits: Limits) -> int:
    """Return how many bytes the members of a file say they expand to; 0 if it cannot be read."""
    try:
        return sum(entry.size for entry in _directory(data, limits))
    except (InputRefused, LimitExceeded, struct.error):
        return 0


def _check_names(entries: Sequence[_Entry]) -> None:
    seen: set[str] = set()
    for entry in entries:
        problem = name_problem(entry.name)
        if problem is not None:
            raise _malformed(problem)
        folded = _folded(entry.name.removesuffix("/"))
        if folded in seen:
            raise _malformed("name occurs twice", name=entry.name)
        seen.add(folded)
    files = {_folded(entry.name) for entry in entries if not entry.is_folder}
    for entry in entries:
        parts = _folded(entry.name.removesuffix("/")).split("/")
        if any("/".join(parts[:count]) in files for count in range(1, len(parts))):
            raise _malformed("file and folder of one name", name=entry.name)


def _check_sizes(entries: Sequence[_Entry], limits: Limits) -> None:
    total = sum(entry.size for entry in entries)
    if total > limits.zip_max_bytes:
        raise _over("zip_max_bytes", total)
    for entry in entries:
        if entry.size > RATIO_FREE_BYTES and entry.size > limits.zip_ratio * max(entry.packed, 1):
            raise _over("zip_ratio", entry.size // max(entry.packed, 1))


def _over(limit: str, value: int) -> LimitExceeded:
    return LimitExceeded("EDOC-SIG-011", f"over the limit {limit}", limit=limit, value=str(value), unit="")


def _local_header(data: bytes, entry: _Entry) -> int:
    """Check that the local header says what the directory says; return where the content begins."""
    mark, needed, flags, method, time, date, crc, packed, size, name_size, extra_size = _LOCAL.unpack_from(
        data, entry.offset
    )
    if needed > VERSION_MAX:
        raise _malformed("version needed", name=entry.name)
    name_at = entry.offset + _LOCAL.size
    start: int = name_at + name_size + extra_size
    same = (mark, flags, method, (time, date)) == (b"PK\x03\x04", entry.flags, entry.method, entry.stamp)
    if not same or data[name_at : name_at + name_size] != entry.raw_name:
        raise _malformed("headers differ", name=entry.name)
    extra = data[name_at + name_size : start]
    _check_extra(extra, entry.name)
    if _LARGE in (size, packed):
        size, packed = _local_sizes(extra, size, packed, entry.name)
    stated = ((crc, entry.crc), (packed, entry.packed), (size, entry.size))
    behind = entry.flags & _DESCRIPTOR  # what was not known yet stands behind the content
    if any(local != central and not (behind and local == 0) for local, central in stated):
        raise _malformed("headers differ", name=entry.name)
    return start


def _local_sizes(extra: bytes, size: int, packed: int, name: str) -> tuple[int, int]:
    found = _long_sizes(extra, (size, packed, 0), name)
    return found[0], found[1]


def _expand(packed: bytes, entry: _Entry) -> bytes:
    if len(packed) != entry.packed:
        raise _malformed("size", name=entry.name)
    content = packed
    if entry.method == 8:
        machine = zlib.decompressobj(-15)
        try:
            content = machine.decompress(packed, entry.size + 1)
        except zlib.error:
            raise _malformed("compressed data", name=entry.name) from None
        if not machine.eof or machine.unused_data or machine.unconsumed_tail:
            raise _malformed("compressed data", name=entry.name)
    if len(content) != entry.size or zlib.crc32(content) != entry.crc:
        raise _malformed("size or check sum", name=entry.name)
    if entry.method == 0 and entry.flags & _DESCRIPTOR and _ends_early(content):
        raise _malformed("descriptor", name=entry.name)
    return content


def _ends_early(content: bytes) -> bool:
    """Tell whether a reader that goes from front to end would take octets of a stored member for its descriptor."""
    at = content.find(_DESCRIPTOR_MARK)
    while at >= 0:
        if int.from_bytes(content[at + 8 : at + 12], "little") == at & _LARGE:
            return True
        at = content.find(_DESCRIPTOR_MARK, at + 1)
    return False


def _behind(data: bytes, end: int, entry: _Entry) -> int:
    """Return where the next member must begin: behind the content, or its descriptor."""
    if not entry.flags & _DESCRIPTOR:
        return end
    sizes = ["<IQQ"]
    if entry.packed <= _LARGE and entry.size <= _LARGE:
        sizes.append("<3I")
    values = [struct.pack(form, entry.crc, entry.packed, entry.size) for form in sizes]
    for form in (*(b"PK\x07\x08" + value for value in values), *values):
        if data[end : end + len(form)] == form:
            return end + len(form)
    raise _malformed("descriptor", name=entry.name)
