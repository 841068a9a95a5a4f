"""A ZIP that two readers could see differently is refused, each trick with its reason (signing.md 6, Z1 and Z2)."""

from __future__ import annotations

import io
import struct
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signer.errors import InputRefused, LimitExceeded
from signer.trust import Limits
from signer.zips import read_zip, write_zip

LIMITS = Limits()
GOOD = write_zip([("mimetype", b"x"), ("a.txt", b"hello"), ("b/c.txt", b"")])


def _zip(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", method) as packed:
        warnings.simplefilter("ignore")
        for name, data in members:
            packed.writestr(name, data)
    return buffer.getvalue()


def _names(*names: str) -> bytes:
    return _zip(*((name, b"x") for name in names))


def _central(data: bytes) -> int:
    return int(struct.unpack_from("<I", data, data.rindex(b"PK\x05\x06") + 16)[0])


def _put(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def _gap(data: bytes) -> bytes:
    """Bytes between the members and the directory, all offsets right."""
    start, end = _central(data), data.rindex(b"PK\x05\x06")
    shifted = data[:start] + b"hidden" + data[start:]
    return _put(shifted, end + 6 + 16, struct.pack("<I", start + 6))


def _leading(data: bytes) -> bytes:
    """Bytes before the first member, all offsets right."""
    start, end = _central(data), data.rindex(b"PK\x05\x06")
    moved = bytearray(b"#!run\n" + data)
    struct.pack_into("<I", moved, end + 6 + 16, start + 6)
    at = start + 6
    while moved[at : at + 4] == b"PK\x01\x02":
        sizes = struct.unpack_from("<3H", moved, at + 28)
        struct.pack_into("<I", moved, at + 42, struct.unpack_from("<I", moved, at + 42)[0] + 6)
        at += 46 + sum(sizes)
    return bytes(moved)


def _overlap(data: bytes) -> bytes:
    """Two entries of the directory share one member."""
    start = _central(data)
    second = start + 46 + len("mimetype")
    return _put(data, second + 42, struct.pack("<I", 0))


def _local_name(data: bytes) -> bytes:
    return data.replace(b"a.txt", b"z.txt", 1)


def _extra(kind: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        info = zipfile.ZipInfo("a.txt")
        info.extra = struct.pack("<2H", kind, 4) + b"abcd"
        packed.writestr(info, b"x")
    return buffer.getvalue()


def _link() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        info = zipfile.ZipInfo("a.txt")
        info.external_attr = 0o120777 << 16
        packed.writestr(info, b"/etc/passwd")
    return buffer.getvalue()


def _unused_tail() -> bytes:
    """Deflated data with more behind its end, counted as compressed size."""
    packed = zlib.compress(b"hello" * 50, wbits=-15) + b"tail"
    data = _zip(("a.txt", b"hello" * 50))
    start = data.index(b"a.txt") + 5
    end = _central(data)
    grown = bytearray(data[:start] + packed + data[end:])
    for at in (18, grown.index(b"PK\x01\x02") + 20):
        struct.pack_into("<I", grown, at, len(packed))
    struct.pack_into("<I", grown, grown.rindex(b"PK\x05\x06") + 16, start + len(packed))
    return bytes(grown)


REFUSED: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "only an end": lambda: b"PK\x05\x06" + bytes(10),
    "trailing data": lambda: GOOD + b"x",
    "leading data": lambda: _leading(GOOD),
    "leading data, offsets wrong": lambda: b"x" + GOOD,
    "gap": lambda: _gap(GOOD),
    "overlap": lambda: _overlap(GOOD),
    "two ends": lambda: GOOD + GOOD[-22:],
    "comment with an end in it": lambda: _put(GOOD, len(GOOD) - 2, b"\x16\x00") + GOOD[-22:],
    "comment shorter than stated": lambda: _put(GOOD, len(GOOD) - 2, struct.pack("<H", 300)) + b"x" * 299,
    "several disks": lambda: _put(GOOD, len(GOOD) - 18, b"\x01\x00"),
    "counts differ": lambda: _put(GOOD, len(GOOD) - 14, b"\x01\x00"),
    "local name differs": lambda: _local_name(GOOD),
    "local size differs": lambda: _put(GOOD, 22, b"\x02"),
    "encrypted": lambda: _put(_put(GOOD, 6, b"\x01"), _central(GOOD) + 8, b"\x01"),
    "unknown compression": lambda: _put(_put(GOOD, 8, b"\x0c"), _central(GOOD) + 10, b"\x0c"),
    "check sum": lambda: GOOD.replace(b"hello", b"jello"),
    "more behind compressed data": _unused_tail,
    "name twice": lambda: _names("a.txt", "a.txt"),
    "name twice but for case": lambda: _names("a.txt", "A.TXT"),
    "name twice but for Vietnamese case": lambda: _names("Đ.txt", "đ.txt"),
    "upward": lambda: _names("../a.txt"),
    "upward inside": lambda: _names("b/../../a.txt"),
    "here": lambda: _names("./a.txt"),
    "absolute": lambda: _names("/a.txt"),
    "drive": lambda: _names("C:a.txt"),
    "backslash": lambda: _zip(("a|b.txt", b"x")).replace(b"a|b.txt", b"a\\b.txt"),
    "empty part": lambda: _names("b//a.txt"),
    "control character": lambda: _names("a\x01.txt"),
    "text direction": lambda: _names("a\u202etxt.exe"),
    "not NFC": lambda: _names("e\u0302.txt"),
    "NUL": lambda: _zip(("ab.txt", b"x")).replace(b"ab.txt", b"a\x00.txt"),
    "file and folder": lambda: _names("a", "a/b"),
    "folder with content": lambda: _zip(("a/", b"x"), method=zipfile.ZIP_STORED),
    "second name in an extra field": lambda: _extra(0x7075),
    "large sizes in an extra field": lambda: _extra(0x0001),
    "link": _link,
    "name in an unknown encoding": lambda: _zip(("ab.txt", b"x")).replace(b"ab.txt", b"\xe9b.txt"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_trick_is_refused(name: str) -> None:
    with pytest.raises(InputRefused) as caught:
        read_zip(REFUSED[name](), limits=LIMITS)
    assert caught.value.code == "EDOC-SIG-010"


def test_bombs_are_a_limit_and_cost_nothing() -> None:
    bomb = _zip(("a.txt", bytes(200 * 2**20)))
    many = _names(*(f"{n}.txt" for n in range(120)))
    start = time.process_time()
    for data, limits, limit in (
        (bomb, LIMITS, "zip_ratio"),
        (bomb, Limits(zip_max_bytes=1000), "zip_max_bytes"),
        (many, Limits(zip_members=100), "zip_members"),
    ):
        with pytest.raises(LimitExceeded) as caught:
            read_zip(data, limits=limits)
        assert caught.value.facts["limit"] == limit
    assert time.process_time() - start < 1


def test_a_size_that_lies_is_found_out_without_expanding_more() -> None:
    bomb = bytearray(_zip(("a.txt", bytes(50 * 2**20))))
    for at in (22, _central(bytes(bomb)) + 24):
        struct.pack_into("<I", bomb, at, 10)
    with pytest.raises(InputRefused):
        read_zip(bytes(bomb), limits=LIMITS)


def test_harmless_habits_of_others_are_read() -> None:
    """Folders, time extras, a comment naming the type, sizes behind the data."""
    buffer = io.BytesIO()

    class Unseekable(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data) -> int:  # type: ignore[no-untyped-def]  # a bytes-like object
            return buffer.write(data)

    with zipfile.ZipFile(Unseekable(), "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("META-INF/", b"")
        info = zipfile.ZipInfo("META-INF/x.xml")
        info.extra = struct.pack("<2H", 0x5455, 5) + bytes(5)
        packed.writestr(info, b"<a/>")
        packed.writestr("chữ.txt", "chữ".encode() * 100)
        packed.comment = b"mimetype=application/vnd.etsi.asic-e+zip"
    members = read_zip(buffer.getvalue(), limits=LIMITS)
    assert [(m.name, len(m.data)) for m in members] == [("META-INF/x.xml", 4), ("chữ.txt", 500)]


@given(
    st.dictionaries(
        st.text(st.sampled_from("abcđế0-_."), min_size=1, max_size=8).filter(lambda n: n.strip(".")),
        st.binary(max_size=50),
        max_size=6,
    )
)
def test_reading_is_the_inverse_of_writing(members: dict[str, bytes]) -> None:
    """And the ordinary reader agrees."""
    if len({name.rstrip(".") for name in members}) < len(members):
        with pytest.raises(ValueError, match="not unique"):
            write_zip(list(members.items()))
        return
    data = write_zip(list(members.items()))
    assert {m.name: m.data for m in read_zip(data, limits=LIMITS)} == members
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert {i.filename: opened.read(i) for i in opened.infolist()} == members


@given(st.binary(max_size=200), st.integers(min_value=0), st.booleans())
def test_rubbish_is_refused_and_nothing_else_happens(rubbish: bytes, place: int, inside: bool) -> None:
    at = place % len(GOOD)
    data = GOOD[:at] + rubbish + GOOD[at:] if inside else rubbish
    try:
        members = read_zip(data, limits=LIMITS)
    except InputRefused:
        return
    assert [m.name for m in members] == ["mimetype", "a.txt", "b/c.txt"]
