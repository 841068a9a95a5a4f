"""The JDK's XML signature engine and ours agree: on what it writes in every form, and on what we write (A2)."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509 import load_der_x509_certificate

from signer.algorithms import PolicyName, Scheme
from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, DevTimestamper, Subject
from signer.report import Code, Covers, Integrity, Verdict
from signer.trust import Content, Context
from signer.xml.extend import extend_xml
from signer.xml.sign import sign_xml
from signer.xml.verify import inspect_xml

SOURCES = Path(__file__).parent / "jdk"
DOCUMENT = (
    '<doc xmlns="urn:d" xmlns:p="urn:p" xml:lang="vi"><!-- ghi chú --><p:part Id="t" p:a="1" b="x &amp; '
    '&lt;&quot;&#9;&#10;"><x xmlns="">chữ\r\n &gt; số</x><?pi d?></p:part><note/></doc>'
)
"""The document the first program signs."""
OUTSIDE = (Content("thư gửi.bin", "bytes ở ngoài".encode()), Content("doc.xml", DOCUMENT.encode()))
SECRET = "mật khẩu dùng chung".encode()

pytestmark = pytest.mark.tool("javac")


@dataclass(frozen=True)
class Jdk:
    """Compiled programs, the files they made, and the certificate they used."""

    classes: Path
    files: dict[str, bytes]
    certificate: bytes

    def holds(self, folder: Path) -> dict[str, bool]:
        """Ask the JDK about every file in a folder."""
        command = ["java", "-Xshare:auto", "-cp", str(self.classes), "Check", str(folder)]
        answer = subprocess.run(command, capture_output=True, check=True, timeout=120, text=True).stdout
        return {name: value == "true" for name, value in (line.rsplit(" ", 1) for line in answer.splitlines())}


@pytest.fixture(scope="session")
def jdk(pki: DevPki, tmp_path_factory: pytest.TempPathFactory) -> Jdk:
    """Compile the two programs and let the first make its files, with a certificate of the authority."""
    if shutil.which("javac") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("javac is missing")
        pytest.skip("javac is missing")
    classes, keys, out = (tmp_path_factory.mktemp(name) for name in ("classes", "keys", "out"))
    subprocess.run(["javac", "-d", str(classes), *map(str, SOURCES.glob("*.java"))], check=True, timeout=120)
    identity = pki.issue(Role.PERSON, Subject("Lê Văn Mẫu", organization="Sở Mẫu B"), key_type="rsa2048")
    (keys / "rsa.cer").write_bytes(identity.certificate)
    (keys / "rsa.key").write_bytes(identity.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    command = ["java", "-Xshare:auto", "-cp", str(classes), "Make", str(keys), str(out)]
    subprocess.run(command, check=True, timeout=120)
    return Jdk(classes, {path.stem: path.read_bytes() for path in sorted(out.glob("*.xml"))}, identity.certificate)


def _context(context: Context, jdk: Jdk, name: str) -> Context:
    """What the caller gives for a file: contents outside of it, the secret, and a key where the file brings none."""
    key = load_der_x509_certificate(jdk.certificate).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    given = replace(context, contents=OUTSIDE, secrets=(SECRET,))
    if name == "info-nothing":
        return replace(given, public_keys=(spki,))
    if name.startswith("info-"):
        trust = replace(context.trust, intermediates=(*context.trust.intermediates, jdk.certificate))
        return replace(given, trust=trust)
    return given


def test_whatever_the_jdk_signs_is_intact_here_and_broken_after_a_change(jdk: Jdk, context: Context) -> None:
    """Forms, canonical forms, digests, methods and kinds of KeyInfo; one changed letter in each is found."""
    assert len(jdk.files) > 90
    for name, data in jdk.files.items():
        given = _context(context, jdk, name)
        report = inspect_xml(data, context=given)
        assert {s.integrity for s in report.signatures} == {Integrity.INTACT}, (name, report.reasons)
        for was, now in (("chữ", "chứ"), ("thư", "thứ"), ("Q2jhu68", "Q2jhu69"), ("DigestValue>", "DigestValue>AA")):
            if was.encode() in data:
                changed = inspect_xml(data.replace(was.encode(), now.encode(), 1), context=given)
                assert Integrity.BROKEN in {s.integrity for s in changed.signatures}, (name, was)
        if "detached" in name:
            other = replace(given, contents=tuple(Content(c.name, c.data + b" ") for c in given.contents))
            assert inspect_xml(data, context=other).signatures[0].integrity is Integrity.BROKEN


def test_what_was_signed_is_said_as_the_form_has_it(jdk: Jdk, context: Context) -> None:
    whole = {"enveloped", "enveloping", "detached", "pointer", "text", "twice"}
    for name, data in jdk.files.items():
        form = name.partition("-")[0]
        covers = {s.covers for s in inspect_xml(data, context=_context(context, jdk, name)).signatures}
        if form in whole:
            assert covers == {Covers.WHOLE}, name
        elif form in {"inner", "manifest"}:
            assert covers == {Covers.PARTIAL}, name


def test_certificates_named_but_not_brought_are_found_among_those_given(jdk: Jdk, context: Context) -> None:
    for name in ("issuer-serial", "ski", "subject", "key-name"):
        report = inspect_xml(jdk.files[f"info-{name}"], context=_context(context, jdk, f"info-{name}"))
        assert report.verdict is Verdict.VALID, name
        assert report.signatures[0].name == "Lê Văn Mẫu"
        alone = inspect_xml(jdk.files[f"info-{name}"], context=context)
        assert alone.signatures[0].integrity is Integrity.UNKNOWN
        assert Code.NO_SIGNING_CERTIFICATE_FOUND in {r.code for r in alone.reasons}
    for name in ("key-value", "nothing"):
        report = inspect_xml(jdk.files[f"info-{name}"], context=_context(context, jdk, f"info-{name}"))
        assert report.reasons[0].code is Code.NO_SIGNING_CERTIFICATE_FOUND
        assert report.signatures[0].integrity is Integrity.INTACT
        only = replace(_context(context, jdk, f"info-{name}"), policy=PolicyName.INTEGRITY_ONLY)
        assert inspect_xml(jdk.files[f"info-{name}"], context=only).verdict is Verdict.VALID


def test_old_algorithms_are_computed_and_found_unacceptable(jdk: Jdk, context: Context) -> None:
    """R70: the bytes are intact, the signature is not accepted."""
    for name, data in jdk.files.items():
        if any(old in name for old in ("rsa-sha1", "-sha1-sha256", "ripemd160", "sha224", "exc-c14n#-rsa-sha256-sha1")):
            report = inspect_xml(data, context=_context(context, jdk, name))
            assert report.verdict is not Verdict.VALID, name
            assert report.signatures[0].integrity is Integrity.INTACT


def test_what_we_sign_holds_in_the_jdk_and_not_after_a_change(
    jdk: Jdk,
    person: DevIdentity,
    pki: DevPki,
    sealed: bytes,
    declared: bytes,
    now: datetime,
    tmp_path: Path,
) -> None:
    rsa = pki.issue(Role.PERSON, Subject("Trần Thị Mẫu", organization="Sở Mẫu A"), key_type="rsa2048")
    made = {"seal": sealed, "receipt": declared}
    for identity, scheme in (
        (person, None),
        (rsa, Scheme.RSA_PKCS1_SHA256),
        (rsa, Scheme.RSA_PSS_SHA256),
        (rsa, Scheme.RSA_PSS_SHA512),
    ):
        for parallel in (False, True):
            data = sign_xml(DOCUMENT.encode(), credential=identity.credential, at=now, scheme=scheme, parallel=parallel)
            made[f"{identity.credential.key_type}-{scheme}-{parallel}"] = data
    for number, (_, data) in enumerate(made.items()):
        (tmp_path / f"good{number}.xml").write_bytes(data)
        at = data.index(b"DigestValue>") + 20
        (tmp_path / f"bad{number}.xml").write_bytes(
            data[:at] + (b"A" if data[at : at + 1] != b"A" else b"B") + data[at + 1 :]
        )
    answers = jdk.holds(tmp_path)
    assert len(answers) == 2 * len(made)
    assert {name: holds for name, holds in answers.items() if holds != name.startswith("good")} == {}


def test_every_level_of_xades_holds_in_the_jdk(
    jdk: Jdk, person: DevIdentity, timestamper: DevTimestamper, context: Context, now: datetime, tmp_path: Path
) -> None:
    data = sign_xml(DOCUMENT.encode(), credential=person.credential, at=now)
    for level in ("t", "lt", "lta"):
        made = extend_xml(data, to=level, context=context, timestamper=timestamper).data
        (tmp_path / f"good-{level}.xml").write_bytes(made)
        (tmp_path / f"bad-{level}.xml").write_bytes(made.replace("chữ".encode(), "chử".encode()))
    answers = jdk.holds(tmp_path)
    assert len(answers) == 6
    assert {name: holds for name, holds in answers.items() if holds != name.startswith("good")} == {}
