"""CAdES of every level and key beside openssl and pyHanko's AdES validation, and refused after a change (A2).

Neither reads archive stamps of CMS: of LT and LTA they judge the signature and the time stamp over its value.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from asn1crypto import cms

from signer.cades.extend import extend_cades
from signer.cades.sign import sign_cades
from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, DevTimestamper, Subject, pem
from signer.trust import Context
from tests.signer_pdf.files import run
from tests.signer_pdf.opinions import PASSED, PyHanko, stamp_accepted_by_openssl, stamp_in

pytestmark = pytest.mark.tool("openssl")

KEYS = ("rsa2048-interop", "rsa2048-strict", "rsa3072-interop", "rsa4096-strict", "p256-interop", "p384-strict")


@pytest.fixture(scope="module")
def people(pki: DevPki) -> dict[str, DevIdentity]:
    """One person with keys of every kind."""
    kinds = {key.partition("-")[0] for key in KEYS}
    return {kind: pki.issue(Role.PERSON, Subject("Trần Thị Mẫu"), key_type=kind) for kind in kinds}


@pytest.fixture
def folder(tmp_path: Path, pki: DevPki, content: bytes) -> Path:
    """A folder with content, root and issuing authority."""
    for name, data in {"root.pem": pem(pki.root.certificate), "chain.pem": pem(pki.issuing.certificate)}.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "content").write_bytes(content)
    return tmp_path


def accepted(data: bytes, folder: Path) -> bool:
    """Say whether openssl finds a detached CMS good over the content, with its reference to the certificate."""
    (folder / "cms.der").write_bytes(data)
    line = "cms -verify -cades -inform DER -in {0}/cms.der -content {0}/content -binary -CAfile {0}/root.pem"
    more = ("-purpose", "any", "-no_check_time", "-out", str(folder / "out"))
    return run("openssl", *line.format(folder).split(), *more).returncode == 0


@pytest.mark.parametrize("key", KEYS)
def test_every_level_is_accepted_and_a_change_refused(
    key: str,
    people: dict[str, DevIdentity],
    folder: Path,
    pki: DevPki,
    over: Context,
    content: bytes,
    timestamper: DevTimestamper,
    now: datetime,
) -> None:
    kind, _, profile = key.partition("-")
    pyhanko = PyHanko(pki.root.certificate, now + timedelta(minutes=5))
    files = {
        level: sign_cades(
            content,
            credential=people[kind].credential,
            at=now,
            level=level,
            timestamper=timestamper,
            profile=profile,
        )
        for level in ("b", "t")
    }
    for level in ("lt", "lta"):
        files[level] = extend_cades(files["t"], to=level, context=over, timestamper=timestamper).data
    for level, data in files.items():
        assert accepted(data, folder)
        assert pyhanko.of_cms(data, content, stamped=level != "b") is PASSED
        held = stamp_in(data)
        assert (held is not None) == (level != "b")
        if held is not None:
            assert stamp_accepted_by_openssl(*held, folder)
            assert not stamp_accepted_by_openssl(held[0], hashlib.sha256(held[1]).digest(), folder)
        spoiled = value_changed(data)
        assert not accepted(spoiled, folder)
        assert pyhanko.of_cms(spoiled, content, stamped=level != "b") is not PASSED
        assert pyhanko.of_cms(data, content[:-1], stamped=level != "b") is not PASSED


def value_changed(data: bytes) -> bytes:
    """Return the CMS with one bit of its signature value turned over."""
    value = cms.ContentInfo.load(data)["content"]["signer_infos"][0]["signature"].native
    at = data.index(value) + len(value) - 1
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
