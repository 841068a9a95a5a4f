"""Sealed messages and declarations as an office makes them, and the root certificate for other programs."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from lxml import etree

from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, DevTimestamper, Subject, pem
from signer.xml.profiles import Slip, seal_xml, sign_declaration

EDXML = "http://www.mic.gov.vn/TBT/QCVN_102_2016"
MESSAGE = f"""<edXML xmlns="{EDXML}"><edXML:edXMLEnvelope xmlns:edXML="{EDXML}"><edXML:Subject note="a &amp; b">V/v thử
 nghiệm &lt;niêm phong&gt;</edXML:Subject><edXML:Mobile/></edXML:edXMLEnvelope><AttachmentEncoded><Attachment>
<Content>QUJDREVG</Content></Attachment></AttachmentEncoded></edXML>"""
RECEIPT = '<Receipt xmlns="urn:edoc:receipt:1" Version="1"><Node>nút-1</Node><Size>42</Size></Receipt>'


def message(*, attachment: str = "QUJDREVG") -> etree._Element:
    """Return the tree of a small message with one attachment (base64)."""
    root = etree.fromstring(MESSAGE)
    content = root.find(f".//{{{EDXML}}}Content")
    assert content is not None
    content.text = attachment
    return root


@pytest.fixture(scope="session")
def slip(now: datetime) -> Slip:
    """The slip of the message."""
    return Slip("6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4", "H99.01", "edoc", now)


@pytest.fixture(scope="session")
def sealed(slip: Slip, exchange_a: DevIdentity) -> bytes:
    """A message sealed by agency A."""
    return seal_xml(message(), slip=slip, credential=exchange_a.credential)


@pytest.fixture(scope="session")
def declared(now: datetime, exchange_b: DevIdentity, timestamper: DevTimestamper) -> bytes:
    """A receipt declared by agency B, with a time stamp."""
    root = etree.fromstring(RECEIPT)
    return sign_declaration(root, credential=exchange_b.credential, at=now, timestamper=timestamper)


@pytest.fixture(scope="session")
def rsa_person(pki: DevPki) -> DevIdentity:
    """A leader whose token holds an RSA key."""
    return pki.issue(Role.PERSON, Subject("Trần Thị Mẫu", organization="Sở Mẫu A"), key_type="rsa2048")


@pytest.fixture
def xmlsec1(pki: DevPki, tmp_path: Path) -> Callable[..., bool]:
    """Ask xmlsec1 whether a file verifies under the authority's root."""
    root = tmp_path / "root.pem"
    root.write_bytes(pem(pki.root.certificate))

    def verifies(data: bytes, *options: str) -> bool:
        path = tmp_path / "file.xml"
        path.write_bytes(data)
        command = ["xmlsec1", "--verify", "--trusted-pem", str(root), *options, str(path)]
        return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0

    return verifies
