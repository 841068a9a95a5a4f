"""Every level, key, form and path is accepted by other checkers, and refused after a flipped byte (signing.md 10, A2).

pdfsig and openssl judge the mathematics, pyHanko the whole: its AdES validation of B, T, LT and LTA, the latter two
with a revocation list wanted for every certificate, which only ``/DSS`` can give.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, DevTimestamper, Subject, pem
from signer.pdf.extend import extend_pdf
from signer.pdf.sign import PdfOptions, Visible, sign_pdf
from signer.pdf.verify import inspect_pdf
from signer.report import Indication
from signer.trust import Context
from tests.signer_pdf.files import simple
from tests.signer_pdf.opinions import (
    PASSED,
    PyHanko,
    accepted_by_openssl,
    contents_of,
    said_by_pdfsig,
    stamp_accepted_by_openssl,
    stamp_in,
    value_changed,
)
from tests.signer_pdf.shapes import Shape, make, shapes
from transport.demo.letter import LETTER, sample

pytestmark = [pytest.mark.tool("pdfsig"), pytest.mark.tool("openssl")]

KEYS = {
    "rsa2048": "interop",
    "rsa2048-pss": "strict",
    "rsa3072": "interop",
    "rsa4096-pss": "strict",
    "p256": "interop",
    "p384": "strict",
}
FORMS = {
    "invisible": None,
    "picture": Visible("signature", box_mm=LETTER.signature, image=sample("signature.png")),
    "text": Visible("number", text="120", box_mm=(20, 100, 30, 8)),
}
# pyHanko judges no signature in hybrid files, and takes a link on the page for a change, in what it signs itself too
SHAPES = [one for one in shapes(320) if one.xref != "hybrid" and "link" not in one.name][::19]
GOOD, UNCHECKED = "Signature is Valid.", "Signature has not yet been verified."


@pytest.fixture(scope="module")
def people(pki: DevPki) -> dict[str, DevIdentity]:
    """One person with keys of every kind."""
    subject = Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A")
    made = {kind: pki.issue(Role.PERSON, subject, key_type=kind) for kind in {key.partition("-")[0] for key in KEYS}}
    return {key: made[key.partition("-")[0]] for key in KEYS}


@pytest.fixture
def folder(tmp_path: Path, pki: DevPki) -> Path:
    """A folder with the root and the issuing authority, for openssl."""
    (tmp_path / "root.pem").write_bytes(pem(pki.root.certificate))
    (tmp_path / "chain.pem").write_bytes(pem(pki.issuing.certificate))
    return tmp_path


@pytest.fixture(scope="module")
def pyhanko(pki: DevPki, now: datetime) -> PyHanko:
    """pyHanko's validator, a little later."""
    return PyHanko(pki.root.certificate, now + timedelta(minutes=5))


@dataclass(frozen=True)
class Way:
    """How a file is signed."""

    key: str
    form: str
    general: bool


LONG = ("rsa3072", "rsa4096-pss")
"""Keys that take their time: for them the form makes no difference that is worth it."""
WAYS = [
    Way(key, form, general)
    for key in KEYS
    for form in FORMS
    for general in (False, True)
    if key not in LONG or form == "picture"
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way.key}-{way.form}-{'general' if way.general else 'fast'}")
def test_every_level_is_accepted_and_a_flipped_byte_refused(
    way: Way,
    people: dict[str, DevIdentity],
    context: Context,
    timestamper: DevTimestamper,
    pyhanko: PyHanko,
    folder: Path,
    now: datetime,
) -> None:
    files = _levels(way, people[way.key], context, timestamper, now)
    asked: dict[str, Callable[[bytes], object]] = {
        "b": pyhanko.basic,
        "t": pyhanko.with_time,
        "lt": pyhanko.with_data,
        "lta": pyhanko.long_term,
    }
    for level, data in files.items():
        stamps = [UNCHECKED] if level == "lta" else []
        assert said_by_pdfsig(data, folder) == [GOOD, *stamps]
        assert accepted_by_openssl(data, 0, folder)
        assert asked[level](data) is PASSED
        assert all(one.intact and one.good for one in pyhanko.opinions(data))
        _stamps_hold(data, level, folder)
    for spoiled in (_content_changed(files["lta"]), value_changed(files["lta"], 0)):
        assert said_by_pdfsig(spoiled, folder)[0] not in (GOOD, UNCHECKED)
        assert not accepted_by_openssl(spoiled, 0, folder)
        token, covered = contents_of(spoiled, 1)
        assert not stamp_accepted_by_openssl(token, hashlib.sha256(covered).digest(), folder)
        assert not any(one.good and one.intact for one in pyhanko.opinions(spoiled))
        assert pyhanko.long_term(spoiled) is not PASSED


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_odd_files_are_kept_for_long_as_well(
    shape: Shape,
    people: dict[str, DevIdentity],
    context: Context,
    timestamper: DevTimestamper,
    pyhanko: PyHanko,
    folder: Path,
    now: datetime,
) -> None:
    """Streams, object streams, rotated and inherited pages, forms of every kind: lifted, and renewed."""
    signed = sign_pdf(
        make(shape), credential=people["p256"].credential, options=PdfOptions(now), timestamper=timestamper
    )
    data = signed.data
    for stamps in (1, 2):
        data = extend_pdf(data, to="lta", context=context, timestamper=timestamper).data
        assert pyhanko.long_term(data) is PASSED
        assert all(one.intact and one.good for one in pyhanko.opinions(data))
        assert said_by_pdfsig(data, folder) == [GOOD] + [UNCHECKED] * stamps


def test_both_come_to_the_same_over_the_years(
    people: dict[str, DevIdentity], pki: DevPki, context: Context, timestamper: DevTimestamper, now: datetime
) -> None:
    """Renewed in time a signature stays proved after its certificate has ended; once that was missed, it does not."""
    options = PdfOptions(now)
    signed = sign_pdf(simple(), credential=people["rsa2048"].credential, options=options, timestamper=timestamper)
    data = extend_pdf(signed.data, to="lta", context=context, timestamper=timestamper).data
    for days, renewed in ((400, True), (1100, False), (3600, True), (3601, False), (4000, False)):
        at = now + timedelta(days=days)
        judging = replace(context, trust=pki.trust(at=at), at=at)
        later = PyHanko(pki.root.certificate, at + timedelta(minutes=1), (pki.crl(at=at), pki.root_crl(at=at)))
        if renewed:
            clock = DevTimestamper(pki, partial(datetime.fromisoformat, at.isoformat()))
            data = extend_pdf(data, to="lta", context=judging, timestamper=clock).data
        ours = inspect_pdf(data, context=judging).signatures[0].indication
        proved = days < 4000  # then the authority's own certificate is over as well
        assert (ours is Indication.PASSED, later.long_term(data) is PASSED) == (proved, proved)


def _levels(
    way: Way, who: DevIdentity, context: Context, timestamper: DevTimestamper, now: datetime
) -> dict[str, bytes]:
    found = {}
    for level in ("b", "t"):
        options = PdfOptions(now, level, KEYS[way.key], FORMS[way.form], general=way.general)
        signed = sign_pdf(simple(), credential=who.credential, options=options, timestamper=timestamper)
        assert signed.path == ("general" if way.general else "fast")
        found[level] = signed.data
    for level in ("lt", "lta"):
        found[level] = extend_pdf(found["t"], to=level, context=context, timestamper=timestamper).data
    return found


def _stamps_hold(data: bytes, level: str, folder: Path) -> None:
    """Openssl accepts the stamp in the CMS and the one over the document, and neither over anything else."""
    held = stamp_in(contents_of(data, 0)[0])
    assert (held is not None) == (level != "b")
    stamps = [] if held is None else [held]
    if level == "lta":
        token, covered = contents_of(data, 1)
        stamps.append((token, hashlib.sha256(covered).digest()))
    for token, digest in stamps:
        assert stamp_accepted_by_openssl(token, digest, folder)
        assert not stamp_accepted_by_openssl(token, hashlib.sha256(digest).digest(), folder)


def _content_changed(data: bytes) -> bytes:
    """Return the file with one stroke of its page elsewhere."""
    at = data.index(b"50 700 m")
    return data[:at] + b"6" + data[at + 1 :]
