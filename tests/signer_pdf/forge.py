"""Signed PDF files as other programs write them, or attackers: every spelling in one place, each file made anew.

A ``Shape`` says how one file is written; ``forge`` writes it and signs what it holds. All shapes are one page with one
signature in one revision, so that a test changes one thing and nothing else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import pkcs7

from signer.devpki import DevIdentity

ROOM = 6000
"""Octets reserved for a signature value."""
RANGE = b"[0 0000000000 0000000000 0000000000]"
CONTENTS = b"<" + b"0" * (2 * ROOM) + b">"

Make = Callable[[DevIdentity, bytes], bytes]
"""From key and signed bytes to what stands in ``/Contents``."""


def cms(identity: DevIdentity, data: bytes, *, options: tuple[pkcs7.PKCS7Options, ...] = ()) -> bytes:
    """Return a detached CMS as most programs write it: signed attributes, no ESS reference."""
    return _builder(data, identity).sign(
        serialization.Encoding.DER, [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary, *options]
    )


def _builder(data: bytes, *identities: DevIdentity) -> pkcs7.PKCS7SignatureBuilder:
    builder = pkcs7.PKCS7SignatureBuilder().set_data(data)
    for identity in identities:
        certificate = x509.load_der_x509_certificate(identity.certificate)
        builder = builder.add_signer(certificate, key_of(identity), hashes.SHA256())
    return builder


def key_of(identity: DevIdentity) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    """Return the private key of a demonstration identity."""
    assert isinstance(identity.key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    return identity.key


def without_certificate(identity: DevIdentity, data: bytes) -> bytes:
    """Return a CMS that brings no certificate."""
    return cms(identity, data, options=(pkcs7.PKCS7Options.NoCerts,))


def without_attributes(identity: DevIdentity, data: bytes) -> bytes:
    """Return a CMS whose value is over the ranges themselves."""
    return cms(identity, data, options=(pkcs7.PKCS7Options.NoAttributes,))


def digest_inside(identity: DevIdentity, data: bytes) -> bytes:
    """Return a CMS that holds the SHA-1 of the ranges (``adbe.pkcs7.sha1``)."""
    digest = hashlib.sha1(data, usedforsecurity=False).digest()
    return _builder(digest, identity).sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])


def bare(identity: DevIdentity, data: bytes) -> bytes:
    """Return a PKCS#1 value in an OCTET STRING (``adbe.x509.rsa_sha1``)."""
    key = key_of(identity)
    assert isinstance(key, rsa.RSAPrivateKey)
    value = key.sign(data, padding.PKCS1v15(), hashes.SHA1())  # the form asks for it
    return b"\x04\x82" + len(value).to_bytes(2, "big") + value


def open_lengths(identity: DevIdentity, data: bytes) -> bytes:
    """Return a CMS in BER: lengths left open."""
    der = cms(identity, data)
    kind = der[4:15]
    inner = der[19:]
    assert kind[0] == 0x06
    assert der[15] == 0xA0
    return b"\x30\x80" + kind + b"\xa0\x80" + inner + b"\0\0\0\0"


def with_member(member: bytes) -> Make:
    """Return a maker of a CMS whose list of certificates has one more member."""

    def make(identity: DevIdentity, data: bytes) -> bytes:
        der = cms(identity, data)
        at = der.index(identity.certificate)
        held = identity.certificate
        assert der[at - 4 : at - 2] == b"\xa0\x82"
        length = int.from_bytes(der[at - 2 : at], "big")
        certificates = der[at : at + length]
        assert certificates == held
        grown = b"\xa0\x82" + (length + len(member)).to_bytes(2, "big") + certificates + member
        body = der[: at - 4] + grown + der[at + length :]
        for begin in (0, 15, 19):
            size = int.from_bytes(body[begin + 2 : begin + 4], "big") + len(member)
            assert body[begin + 1] == 0x82
            body = body[: begin + 2] + size.to_bytes(2, "big") + body[begin + 4 :]
        return body

    return make


def with_signer(other: DevIdentity) -> Make:
    """Return a maker of a CMS that two have signed."""

    def make(identity: DevIdentity, data: bytes) -> bytes:
        options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
        return _builder(data, identity, other).sign(serialization.Encoding.DER, options)

    return make


def followed(tail: bytes) -> Make:
    """Return a maker of a CMS with octets behind it."""
    return lambda identity, data: cms(identity, data) + tail


@dataclass(frozen=True)
class Shape:
    """How one signed file is written. ``%R``, ``%C`` stand for byte range and contents, ``%S`` for the dictionary."""

    dictionary: bytes = b"<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /%F /ByteRange %R /Contents %C >>"
    sub_filter: bytes = b"adbe.pkcs7.detached"
    catalog: bytes = b"<< /Type /Catalog /Pages 2 0 R /AcroForm 5 0 R >>"
    page: bytes = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Annots [6 0 R] >>"
    form: bytes = b"<< /Fields [6 0 R] /SigFlags 3 >>"
    field: bytes = b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (Ky) /V 7 0 R /F 132 /Rect [0 0 0 0] /P 3 0 R >>"
    more: tuple[tuple[int, bytes], ...] = ()
    before: bytes = b""  # in front of the header
    absolute: bool = False  # offsets counted from the first byte in spite of that
    table: str = "table"  # table, stream, short (rows of 19), from-1, loose
    drift: int = 0  # added to the number behind startxref
    end: bytes = b"%%EOF\n"
    make: Make = cms
    spell: Callable[[bytes], bytes] = bytes  # of the digits
    numbers: Callable[[tuple[int, int, int]], bytes] = lambda n: b"[0 %d %d %d" % n
    after: Callable[[bytes], bytes] = bytes  # what is done to the finished file


def forge(identity: DevIdentity, shape: Shape) -> bytes:
    """Write and sign a file."""
    data = _written(shape)
    if CONTENTS not in data:
        return shape.after(data)
    start = data.index(CONTENTS)
    end = start + len(CONTENTS)
    text = shape.numbers((start, end, len(data) - end))
    if RANGE in data:
        at = data.index(RANGE)
        data = data[:at] + text.ljust(len(RANGE) - 1) + b"]" + data[at + len(RANGE) :]
    value = shape.make(identity, _covered(data, text, (start, end))).hex().encode()
    digits = shape.spell(value.ljust(2 * ROOM, b"0"))
    assert len(digits) == 2 * ROOM
    return shape.after(data[: start + 1] + digits + data[end - 1 :])


def _covered(data: bytes, text: bytes, gap: tuple[int, int]) -> bytes:
    """Return the bytes that the byte range names, so that the mathematics holds; if it names none, all but the gap."""
    numbers = [int(part) for part in re.findall(rb"-?\d+", text)]
    if len(numbers) != 4 or min(numbers) < 0:
        return data[: gap[0]] + data[gap[1] :]
    zero, a, b, c = numbers
    return data[zero : zero + a] + data[b : b + c]


def _written(shape: Shape) -> bytes:
    dictionary = shape.dictionary.replace(b"%F", shape.sub_filter).replace(b"%R", RANGE).replace(b"%C", CONTENTS)
    objects = {
        1: shape.catalog,
        2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        3: shape.page,
        4: b"<< /Length 28 >>\nstream\n0 0 1 RG 50 700 m 90 700 l S\nendstream",
        5: shape.form,
        6: shape.field.replace(b"%S", dictionary),
        7: dictionary,
    }
    if b"%S" in shape.field:
        del objects[7]
    objects |= {number: body.replace(b"%R", RANGE).replace(b"%C", CONTENTS) for number, body in shape.more}
    out, offsets = bytearray(shape.before + b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"), {}
    base = 0 if shape.absolute else len(shape.before)
    for number, body in objects.items():
        offsets[number] = len(out) - base
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out) - base
    out += _cross_references(shape.table, offsets, start)
    return bytes(out + b"startxref\n%d\n" % (start + shape.drift) + shape.end)


def _cross_references(kind: str, offsets: dict[int, int], start: int) -> bytes:
    size = max(offsets) + 1
    if kind == "stream":
        offsets = {**offsets, size: start}
        rows = b"".join(
            (b"\x01" + offsets[n].to_bytes(4, "big") + b"\0" if n in offsets else bytes(6)) for n in range(size + 1)
        )
        head = b"<< /Type /XRef /Size %d /W [1 4 1] /Root 1 0 R /Length %d >>" % (size + 1, len(rows))
        return b"%d 0 obj\n%s\nstream\n%s\nendstream\nendobj\n" % (size, head, rows)
    line = {"short": b"\n", "loose": b"  \r\n"}.get(kind, b" \n")
    rows = b"0000000000 65535 f" + line
    for number in range(1, size):
        rows += (b"%010d 00000 n" % offsets[number] if number in offsets else b"0000000000 00001 f") + line
    first = 1 if kind == "from-1" else 0
    return b"xref\n%d %d\n%s" % (first, size, rows) + b"trailer\n<< /Size %d /Root 1 0 R >>\n" % size


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Return a change of the finished file, at the first place that fits."""

    def change(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new, 1)

    return change


def number_of_range(index: int, delta: int) -> Callable[[tuple[int, int, int]], bytes]:
    """Return a byte range with one of its numbers off."""

    def spell(numbers: tuple[int, int, int]) -> bytes:
        changed = [0, *numbers]
        changed[index] += delta
        return b"[%d %d %d %d" % tuple(changed)

    return spell


def mixed_case(digits: bytes) -> bytes:
    """Return digits in mixed case."""
    return re.sub(rb"[a-f]", lambda match: match[0].upper() if match.start() % 3 else match[0], digits)


def spaced(digits: bytes) -> bytes:
    """Return digits in lines, the last zeros given up for line ends."""
    lines = [digits[at : at + 62] for at in range(0, len(digits) * 62 // 64, 62)]
    return b"\r\n".join(lines)[: len(digits)].ljust(len(digits))
