"""Files for every row of console.md 5.3 and signing.md 4.4, each with its whole line and what must be said of it.

``ROWS`` names the rows as the tables do; a situation belongs to one of them. The test beside asks the command itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from signer.credential import Role
from signer.devpki import DevPki
from signer.report import Code
from signer.trust import Content, TrustStore
from tests.signer_cms import cmsforge
from tests.signer_cms.cmsforge import Cms, Signer
from tests.signer_pdf import forge as shapes
from tests.signer_pdf.attackforge import CATALOG, Ink, stream
from tests.signer_pdf.files import simple
from tests.signer_pdf.forge import Shape, number_of_range, replaced
from tests.signer_pdf.test_pdf_attacks import ATTACKS, HARMLESS
from tests.signer_pdf.test_pdf_comparing import certified, noted
from tests.signer_pdf.test_pdf_judging import hidden_behind, hidden_update, shadowed, zeroed
from tests.signer_pdf.test_pdf_judging import hybrid as hybrid_of
from tests.vectors.verification import byte_vectors as of_bytes
from tests.vectors.verification import trust_vectors as of_trust
from tests.vectors.verification.house import (
    DAY,
    LEADER,
    UNKNOWN,
    VISIBLE,
    Case,
    House,
    Line,
    failed,
    passed,
    undecided,
)

ROWS: dict[str, tuple[str, ...]] = {
    "console.md 5.3": (
        "correct, trusted, status good",
        "correct, but unknown root",
        "a covered byte differs · the value does not fit the key",
        "malformed; byte range wrong; wrapped XML; suspect later change",
        "later change allowed; trailing bytes",
        "key value but no certificate",
        "signed content absent · algorithm or transform not supported",
        "old digests and short keys · wrong key usage, constraint violated",
        "expired: no proved time · proved inside · proved after",
        "revoked: no proved time · proved before · proved after",
        "a status source and no answer · no source",
        "time stamp broken · its authority not trusted",
        "no signature · unreadable, encrypted, too large, unknown format",
        "an object no signature covers · known kind, damaged beyond reading",
        "the verdict of a file of several signatures and parts",
        "integrity only · an expired anchor",
    ),
    "signing.md 4.4": (
        "one signature over the whole file · seal, stamps, validation data after it",
        "text, page, picture, layer, font changed; overlay exchanged; comment without P=3",
        "metadata or structure saved anew, objects freed or unreachable",
        "an update that only some readers see",
        "trailing bytes · damaged, both readings equal",
        "range, gap or zeros · covered byte · key does not fit",
        "a later signature broken",
        "intact, its time stamp broken",
        "unknown SubFilter or algorithm · certificate absent",
        "a prepared trick not yet played",
    ),
}


@dataclass(frozen=True)
class Situation:
    """A file of a row: ``says`` are codes that must stand among reasons or warnings of the file or its signatures."""

    row: str
    what: str
    make: Callable[[House], Case]
    line: Line
    says: tuple[Code, ...] = ()
    signature: str | None = None

    @property
    def id(self) -> str:
        """The name of the test."""
        return f"{self.row}: {self.what}"


_53, _44 = (ROWS[name] for name in ROWS)
SUSPECT = {"covers": "revision", "later": "suspect"}
ALLOWED = {"covers": "revision", "later": "allowed"}


# --- files -----------------------------------------------------------------------------------------------------------


def _cms(house: House, given: bytes | None = of_bytes.WORDS) -> Case:
    contents = () if given is None else (Content("", given),)
    return house.case(Cms((Signer(house.person, of_bytes.WORDS),)).encoded(), house.context(*contents))


def _shape(shape: Shape) -> Callable[[House], Case]:
    return lambda house: house.case(shapes.forge(house.rsa, shape))


def _attacked(name: str) -> Callable[[House], Case]:
    return lambda house: house.case(ATTACKS[name][0](house.letter).data)


def _harmless(name: str) -> Callable[[House], Case]:
    return lambda house: house.case(HARMLESS[name][0](house.letter).data)


def sealed_after(house: House) -> Case:
    """Number, date and seal, each the visible widget of a later signature, and validation data behind them."""
    paper = house.letter
    for place, name in enumerate((b"So van ban", b"Ngay", b"Dau")):
        ink = Ink(b"60 %d 160 %d" % (100 + 60 * place, 140 + 60 * place), b"BT /F1 9 Tf (120) Tj ET")
        paper = house.forge.sign(paper, name, ink)
    paper = paper.added(CATALOG, b"/DSS << /Certs [90 0 R] >>", {90: stream(b"certificate")})
    return house.case(paper.data)


def _later_broken(house: House, ink: Ink) -> Case:
    """A second signature with a byte of its own update changed."""
    both = house.forge.sign(house.letter, b"Van thu", replace(ink, value=b"/Reason (mot)"))
    at = both.data.rindex(b"/Reason (mot)")
    return house.case(both.data[:at] + b"/Reason (hai)" + both.data[at + 13 :])


def _bad_stamp(house: House) -> Case:
    """A PDF whose time stamp is over another signature's value."""

    def make(_identity: object, data: bytes) -> bytes:
        fixed = Signer(house.person, data, change=_without_time).with_unsigned()
        other = cmsforge.stamp("signature_time_stamp_token", b"the value of another signature", house.stamps())
        return Cms((fixed.with_unsigned(other),)).encoded()

    return house.case(shapes.forge(house.rsa, Shape(sub_filter=b"ETSI.CAdES.detached", make=make)))


def _without_time(found: dict[str, bytes]) -> list[bytes]:
    return sorted(value for name, value in found.items() if name != "signing_time")


def hybrid(house: House) -> Case:
    """An update whose table has one page content and whose stream for newer readers another."""
    data = bytearray(house.small)
    previous = int(data[data.rfind(b"startxref") + 9 :].split()[0])
    places = []
    for body in (b"0 0 1 RG 50 700 m 90 700 l S", b"0 0 1 RG 50 100 m 90 900 l S"):
        places.append(len(data))
        data += b"4 0 obj\n<< /Length %d >>\nstream\n%s\nendstream\nendobj\n" % (len(body), body)
    table_stream = len(data)
    row = b"\x01" + places[1].to_bytes(3, "big") + b"\0"
    data += b"98 0 obj\n<< /Type /XRef /Size 99 /W [1 3 1] /Index [4 1] /Root 1 0 R /Length 5 >>\nstream\n" + row
    data += b"\nendstream\nendobj\n"
    start = len(data)
    data += b"xref\n0 0\ntrailer\n<< /Size 99 /Root 1 0 R /Prev %d /XRefStm %d >>\n" % (previous, table_stream)
    return house.case(bytes(data + b"startxref\n%d\n%%%%EOF\n" % start))


def honest_hybrid(house: House) -> Case:
    """As word processors write it: what only newer readers see shows nothing."""
    return house.case(house.pdf(hybrid_of(b"/StructTreeRoot 5 0 R")))


def _too_large(house: House) -> Case:
    """The start of a PDF and more zeros than are read."""
    return house.case(b"%PDF-1.7\n".ljust(256_000_001, b"\0"))


def _mixed(house: House) -> Case:
    """Two signatures of which one is of a stranger."""
    stranger = DevPki.create(at=house.now - 3 * DAY).issue(Role.PERSON, LEADER)
    return house.case(house.pdf(house.small, stranger))


def _token(house: House, given: bytes) -> Case:
    token = cmsforge.token_of(of_bytes.WORDS, house.stamps())
    return house.case(token, house.context(Content("", given)))


def short_key(house: House) -> Case:
    who = house.pki.issue(Role.PERSON, LEADER, variant="weak")
    return house.case(shapes.forge(who, Shape()))


def old_digest_of_the_signature(house: House) -> Case:
    shape = Shape(sub_filter=b"adbe.pkcs7.sha1", make=shapes.digest_inside)
    return house.case(shapes.forge(house.rsa, shape))


def old_digest_of_the_root(house: House) -> Case:
    from signer.devfaults import signed_weakly
    from signer.trust import Purpose, anchored

    old = anchored([signed_weakly(house.pki.root.certificate, house.pki.root)], Purpose.SIGNERS, Purpose.TSA)
    trust = replace(house.pki.trust(at=house.now), anchors=old.anchors)
    return house.case(house.xml(), house.trusting(trust))


def _path_too_long(house: House) -> Case:
    from signer.devfaults import Above, issue_below, subordinate

    authority = subordinate(house.pki.issuing, at=house.now - 20 * DAY, above=Above())
    return house.case(house.xml(issue_below(house.pki, authority, LEADER, at=house.now - 10 * DAY)))


def _plain(text: bytes) -> Callable[[House], Case]:
    return lambda house: house.case(text)


def _hidden_layer(house: House) -> Case:
    """The layer that is off and the content nobody reaches were there when the leader signed."""
    return house.case(house.letter.data)


def _hidden_in_advance(house: House) -> Case:
    """An object of another page content, prepared and reached from nowhere."""
    spare = b"<< /Length 27 >>\nstream\n0 0 1 RG 5 700 m 90 700 l S\nendstream"
    return house.case(house.pdf(simple(more=[spare])))


_CERTIFIED = {"covers": "revision", "later": "allowed"}

SITUATIONS: tuple[Situation, ...] = (
    # console.md 5.3
    Situation(_53[0], "XML", lambda h: h.case(h.xml(stamped=h.now)), passed()),
    Situation(_53[0], "PDF", lambda h: h.case(h.small), passed(), (Code.SIGNING_TIME_NOT_PROVED,)),
    Situation(_53[0], "CMS", _cms, passed()),
    Situation(_53[0], "ASiC", lambda h: h.case(h.asic()), passed()),
    Situation(
        _53[0],
        "with status answers",
        lambda h: h.case(h.xml(h.clerk, stamped=h.now, pki=h.listed), h.context(pki=h.listed)),
        passed(),
    ),
    Situation(_53[1], "XML", of_trust.unknown_root, undecided(Code.NO_CERTIFICATE_CHAIN_FOUND)),
    Situation(
        _53[1],
        "PDF, no anchor at all",
        lambda h: h.case(h.small, h.trusting(TrustStore())),
        undecided(Code.NO_CERTIFICATE_CHAIN_FOUND),
    ),
    Situation(_53[2], "XML, digest", of_bytes.changed_text, failed(Code.HASH_FAILURE, crypto="bad", covers="partial")),
    Situation(
        _53[2],
        "PDF, digest",
        lambda h: h.case(h.small.replace(b"50 700 m", b"50 701 m")),
        failed(Code.HASH_FAILURE, crypto="bad"),
    ),
    Situation(_53[2], "CMS, digest", lambda h: _cms(h, b"other"), failed(Code.HASH_FAILURE, crypto="bad")),
    Situation(_53[2], "XML, value", of_bytes.changed_value, failed(Code.SIG_CRYPTO_FAILURE, crypto="bad")),
    Situation(
        _53[3],
        "PDF, no CMS in its place",
        _shape(Shape(make=lambda identity, data: b"\x04\x03abc")),
        failed(Code.FORMAT_FAILURE, crypto="unknown"),
        (Code.MALFORMED,),
    ),
    Situation(
        _53[3],
        "PDF, range not from 0",
        _shape(Shape(numbers=number_of_range(0, 1))),
        failed(Code.FORMAT_FAILURE, crypto="unknown", covers="partial"),
        (Code.BYTE_RANGE_INVALID,),
    ),
    Situation(
        _53[3],
        "XML, wrapped",
        of_bytes.part(
            lambda text: text.replace("<head/>", f"<head>{of_bytes.PAY}</head>").replace(
                f"<body>{of_bytes.PAY}", f"<body>{of_bytes.EVIL}"
            )
        ),
        failed(Code.FORMAT_FAILURE, covers="partial"),
        (Code.XML_WRAPPING,),
    ),
    Situation(
        _53[3],
        "PDF, suspect later change",
        of_bytes.exchanged,
        failed(Code.FORMAT_FAILURE, **SUSPECT),
        (Code.LATER_CHANGE_SUSPECT,),
    ),
    Situation(_53[4], "a blank field filled", _harmless("blank field filled"), passed(**ALLOWED)),
    Situation(_53[4], "trailing bytes", lambda h: h.case(h.small + b"ghi chu\n"), passed(), (Code.TRAILING_BYTES,)),
    Situation(
        _53[4],
        "trailing bytes, unknown root",
        lambda h: h.case(h.small + b"ghi chu\n", h.trusting(TrustStore())),
        undecided(Code.NO_CERTIFICATE_CHAIN_FOUND),
        (Code.TRAILING_BYTES,),
    ),
    Situation(_53[5], "XML", of_bytes.bare_key, undecided(Code.NO_SIGNING_CERTIFICATE_FOUND, covers="partial")),
    Situation(
        _53[6],
        "CMS, content absent",
        lambda h: _cms(h, None),
        undecided(Code.SIGNED_DATA_NOT_FOUND, **UNKNOWN),
    ),
    Situation(
        _53[6],
        "XML, content absent",
        of_bytes.outside,
        undecided(Code.SIGNED_DATA_NOT_FOUND, covers="partial", **UNKNOWN),
    ),
    Situation(
        _53[6],
        "XML, transform",
        of_bytes.unsupported_transform,
        undecided(Code.CRYPTO_CONSTRAINTS_FAILURE, covers="partial", **UNKNOWN),
        (Code.ALGORITHM_UNSUPPORTED,),
    ),
    Situation(
        _53[6],
        "CMS, scheme",
        of_bytes.unknown_scheme,
        undecided(Code.CRYPTO_CONSTRAINTS_FAILURE, **UNKNOWN),
        (Code.ALGORITHM_UNSUPPORTED,),
    ),
    Situation(_53[7], "SHA-1 in a certificate", of_trust.old_digest, undecided(Code.CRYPTO_CONSTRAINTS_FAILURE)),
    Situation(
        _53[7], "SHA-1 in the signature", old_digest_of_the_signature, undecided(Code.CRYPTO_CONSTRAINTS_FAILURE)
    ),
    Situation(_53[7], "RSA of 1024 bits", short_key, undecided(Code.CRYPTO_CONSTRAINTS_FAILURE)),
    Situation(_53[7], "SHA-1 in the root alone", old_digest_of_the_root, passed()),
    Situation(_53[7], "wrong key usage", of_trust.wrong_usage, undecided(Code.CHAIN_CONSTRAINTS_FAILURE)),
    Situation(_53[7], "path too long", _path_too_long, undecided(Code.CHAIN_CONSTRAINTS_FAILURE)),
    Situation(
        _53[8],
        "no proved time",
        lambda h: of_trust.after_the_end(h, stamped=None),
        undecided(Code.OUT_OF_BOUNDS_NO_POE),
    ),
    Situation(_53[8], "proved inside", lambda h: of_trust.after_the_end(h, stamped=-5 * DAY), passed()),
    Situation(
        _53[8],
        "proved after",
        lambda h: of_trust.after_the_end(h, stamped=5 * DAY),
        failed(Code.EXPIRED, integrity="intact"),
    ),
    Situation(_53[9], "no proved time", lambda h: of_trust.revoked(h, None), undecided(Code.REVOKED_NO_POE)),
    Situation(_53[9], "proved before", lambda h: of_trust.revoked(h, -DAY), passed()),
    Situation(_53[9], "proved after", lambda h: of_trust.revoked(h, DAY), failed(Code.REVOKED, integrity="intact")),
    Situation(_53[10], "a source, no answer", of_trust.no_answer, undecided(Code.TRY_LATER)),
    Situation(_53[10], "no source, interop", of_trust.no_source, passed(), (Code.REVOCATION_NOT_AVAILABLE,)),
    Situation(_53[10], "no source, strict", lambda h: of_trust.no_source(h, "strict"), undecided(Code.TRY_LATER)),
    Situation(
        _53[11],
        "of another signature",
        of_trust.foreign_stamp,
        undecided(Code.SIG_CONSTRAINTS_FAILURE),
        (Code.TIMESTAMP_INVALID,),
    ),
    Situation(
        _53[11],
        "by strangers",
        of_trust.unknown_stamper,
        passed(),
        (Code.TIMESTAMP_UNTRUSTED, Code.SIGNING_TIME_NOT_PROVED),
    ),
    Situation(_53[12], "an unsigned PDF", lambda h: h.case(h.plain), Line("indeterminate"), (Code.NO_SIGNATURE,)),
    Situation(_53[12], "unsigned XML", _plain(b"<a/>"), Line("indeterminate"), (Code.NO_SIGNATURE,)),
    Situation(_53[12], "an empty file", _plain(b""), Line("indeterminate"), (Code.UNREADABLE,)),
    Situation(_53[12], "a password", of_bytes.encrypted, Line("indeterminate"), (Code.ENCRYPTED,)),
    Situation(_53[12], "too large", _too_large, Line("indeterminate"), (Code.LIMIT_EXCEEDED,)),
    Situation(_53[12], "words", _plain(b"\0\1words"), Line("indeterminate"), (Code.UNSUPPORTED_FORMAT,)),
    Situation(
        _53[13],
        "ASiC",
        of_bytes.unsigned_object,
        passed(verdict="invalid", covers="partial"),
        (Code.CONTENT_NOT_SIGNED,),
    ),
    Situation(_53[13], "a ZIP of its mark alone", _plain(b"PK\x03\x04"), Line("invalid"), (Code.MALFORMED,)),
    Situation(
        _53[14],
        "one of two signatures of a stranger",
        _mixed,
        passed(verdict="indeterminate", **ALLOWED),
        (Code.NO_CERTIFICATE_CHAIN_FOUND,),
    ),
    Situation(
        _53[14],
        "a time stamp alone, intact",
        lambda h: _token(h, of_bytes.WORDS),
        passed(verdict="indeterminate"),
        (Code.NO_SIGNATURE,),
    ),
    Situation(
        _53[14],
        "a time stamp alone, broken",
        lambda h: _token(h, b"other"),
        failed(Code.HASH_FAILURE, crypto="bad"),
    ),
    Situation(_53[14], "a part that is not valid", of_bytes.bad_part, passed(), (Code.PART_NOT_VALID,)),
    Situation(
        _53[15],
        "integrity only",
        of_trust.bytes_alone,
        Line("valid", "intact", "ok", "whole-document", "none", "INDETERMINATE", None),
        (Code.TRUST_NOT_EVALUATED,),
    ),
    Situation(_53[15], "an expired anchor", of_trust.old_root, passed(), (Code.ANCHOR_EXPIRED,)),
    # signing.md 4.4
    Situation(_44[0], "one signature", lambda h: h.case(h.letter.data), passed()),
    Situation(_44[0], "number, date, seal, /DSS", sealed_after, passed(**ALLOWED), signature="Lanh dao"),
    Situation(_44[0], "number, date, seal, /DSS: the seal", sealed_after, passed(**ALLOWED), signature="Dau"),
    *(
        Situation(
            _44[1],
            name,
            _attacked(name),
            failed(Code.FORMAT_FAILURE, **SUSPECT),
            (Code.LATER_CHANGE_SUSPECT,),
            signature="Lanh dao",
        )
        for name in (
            "content exchanged",
            "page removed",
            "page turned",
            "picture exchanged",
            "hidden layer switched on",
            "font exchanged",
            "text laid over",
            "picture of the signature exchanged",
            "appearance of a value exchanged",
            "note added",
        )
    ),
    Situation(_44[1], "comment under P=3", lambda h: h.case(noted(certified(h.forge, 3)).data), passed(**_CERTIFIED)),
    *(
        Situation(_44[2], name, _harmless(name), passed(**ALLOWED))
        for name in (
            "metadata saved",
            "everything written anew",
            "everything in an object stream",
            "unused object freed",
            "object nobody reaches",
            "page placed in the structure",
        )
    ),
    *(
        Situation(
            _44[3], name, make, failed(Code.FORMAT_FAILURE, **SUSPECT), (Code.READINGS_DIFFER,), signature="Signature1"
        )
        for name, make in (
            ("behind the last section", lambda h: h.case(hidden_behind(h.small))),
            ("gone back past", lambda h: h.case(hidden_update(h.small))),
            ("in no table", lambda h: h.case(shadowed(h.small))),
            ("hybrid of two faces", hybrid),
        )
    ),
    Situation(_44[4], "trailing bytes", lambda h: h.case(h.small + b"\n\0\0rest"), passed(), (Code.TRAILING_BYTES,)),
    Situation(_44[4], "startxref off", _shape(Shape(drift=3)), passed(), (Code.REPAIRED,)),
    Situation(_44[4], "no end mark", _shape(Shape(end=b"")), passed(), (Code.REPAIRED,)),
    Situation(
        _44[5],
        "range past the end",
        _shape(Shape(numbers=number_of_range(3, 1))),
        failed(Code.FORMAT_FAILURE, crypto="unknown", covers="partial"),
        (Code.BYTE_RANGE_INVALID,),
    ),
    Situation(
        _44[5],
        "gap larger than the value",
        _shape(
            Shape(
                dictionary=b"<< /Type /Sig /Filter /X /SubFilter /%F /ByteRange %R /Contents %C /Reason (x) >>",
                numbers=lambda n: b"[0 %d %d %d" % (n[0], n[1] + 12, n[2] - 12),
            )
        ),
        failed(Code.FORMAT_FAILURE, covers="partial"),
        (Code.BYTE_RANGE_INVALID,),
    ),
    Situation(
        _44[5],
        "all zero",
        lambda h: h.case(zeroed(h.small)),
        failed(Code.FORMAT_FAILURE, crypto="unknown"),
    ),
    Situation(
        _44[5],
        "covered byte",
        _shape(Shape(after=replaced(b"50 700 m", b"51 700 m"))),
        failed(Code.HASH_FAILURE, crypto="bad"),
    ),
    Situation(
        _44[5],
        "value of another key",
        _shape(Shape(make=lambda i, d: shapes.cms(i, d)[:-1] + bytes((shapes.cms(i, d)[-1] ^ 1,)))),
        failed(Code.SIG_CRYPTO_FAILURE, crypto="bad"),
    ),
    Situation(
        _44[6],
        "that paints nothing: the later",
        lambda h: _later_broken(h, Ink()),
        failed(Code.HASH_FAILURE, crypto="bad"),
        signature="Van thu",
    ),
    Situation(
        _44[6],
        "that paints nothing: the earlier",
        lambda h: _later_broken(h, Ink()),
        passed(verdict="invalid", **ALLOWED),
        signature="Lanh dao",
    ),
    Situation(
        _44[6],
        "that paints: the earlier",
        lambda h: _later_broken(h, replace(VISIBLE, rect=b"60 100 160 140")),
        failed(Code.FORMAT_FAILURE, **SUSPECT),
        signature="Lanh dao",
    ),
    Situation(_44[7], "PDF", _bad_stamp, undecided(Code.SIG_CONSTRAINTS_FAILURE), (Code.TIMESTAMP_INVALID,)),
    Situation(
        _44[8],
        "unknown SubFilter",
        _shape(Shape(sub_filter=b"Example.other", make=lambda identity, data: b"\x01\x02\x03")),
        undecided(Code.CRYPTO_CONSTRAINTS_FAILURE, **UNKNOWN),
        (Code.SUBFILTER_UNKNOWN,),
    ),
    Situation(
        _44[8],
        "unknown SubFilter over a CMS",
        _shape(Shape(sub_filter=b"Example.cms")),
        passed(),
    ),
    Situation(
        _44[8],
        "certificate absent",
        _shape(Shape(make=shapes.without_certificate)),
        undecided(Code.NO_SIGNING_CERTIFICATE_FOUND, crypto="unknown"),
    ),
    Situation(_44[9], "a hidden layer", _hidden_layer, passed()),
    Situation(_44[9], "spare content", _hidden_in_advance, passed()),
)
"""The rows, each by one file or several."""
