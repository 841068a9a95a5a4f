"""Signing with a key that is elsewhere, through the command: ``--prepare``, a digest, ``--embed`` (console.md 4.1)."""

import base64
import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from signer.credential import Role
from signer.devpki import DevPki, Subject, pem
from tests.console.conftest import Edoc, Ran
from tests.console.schema import problems
from tests.signer_pdf.files import simple

DEMO = {"EDOC_DEMO": "true"}
LINE = ("--trust", "root.pem", "--json")


@pytest.fixture
def desk(edoc: Edoc, services: tuple[str, DevPki]) -> Edoc:
    """A letter, certificates with their chain, the root; the keys lie apart, as on another machine."""
    pki = services[1]
    (edoc.folder / "elsewhere").mkdir()
    for name, kind in (("rsa", "rsa2048"), ("ec", "p256")):
        signer = pki.issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"), key_type=kind)
        (edoc.folder / "elsewhere" / f"{name}.pem").write_bytes(signer.pem)
        chain = b"".join(pem(one) for one in (signer.certificate, *signer.credential.chain))
        (edoc.folder / f"{name}.crt").write_bytes(chain)
    (edoc.folder / "root.pem").write_bytes(pem(pki.root.certificate))
    (edoc.folder / "letter.pdf").write_bytes(simple())
    return edoc.here()


def _prepared(desk: Edoc, *words: str, level: str = "b") -> dict[str, str]:
    ran = desk("sign", "letter.pdf", "--prepare", "-o", "P", "--level", level, *words, *LINE, env=DEMO)
    assert (ran.code, problems(ran.json)) == (0, []), ran.json
    found: dict[str, str] = ran.json["files"][0]["prepared"]
    return found


def _signed(desk: Edoc, name: str, digest: str, *, pss: bool = False) -> bytes:
    """Sign a digest where the key is."""
    key = load_pem_private_key((desk.folder / "elsewhere" / f"{name}.pem").read_bytes(), None)
    data = bytes.fromhex(digest)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(Prehashed(SHA256())))
    assert isinstance(key, rsa.RSAPrivateKey)
    fill = padding.PSS(padding.MGF1(SHA256()), 32) if pss else padding.PKCS1v15()
    return key.sign(data, fill, Prehashed(SHA256()))


def _embedded(desk: Edoc, value: str, *words: str) -> Ran:
    return desk("sign", "--embed", "P", "--value", value, "-o", "signed.pdf", *words, *LINE, env=DEMO)


def _valid(desk: Edoc) -> str:
    found = desk("verify", "signed.pdf", "--online", *LINE, env=DEMO)
    signature = found.json["files"][0]["signatures"][0]
    assert (found.code, signature["signer"]["name"]) == (0, "Nguyễn Văn Mẫu")
    level: str = signature["level"]
    return level


@pytest.mark.parametrize("spelling", ["file", "hex", "base64", "hex file"])
def test_a_value_made_elsewhere_is_put_in_however_it_is_spelled(desk: Edoc, spelling: str) -> None:
    value = _signed(desk, "ec", _prepared(desk, "--cert", "ec.crt")["digest"])
    (desk.folder / "value").write_bytes(value if spelling == "file" else value.hex().upper().encode() + b"\n")
    given = {"hex": value.hex(), "base64": base64.b64encode(value).decode()}.get(spelling, "value")
    ran = _embedded(desk, given)
    assert (ran.code, problems(ran.json)) == (0, []), ran.json
    assert ran.json["files"][0]["status"] == "signed"
    assert _valid(desk) == "PAdES-B-B"


@pytest.mark.parametrize("profile", ["interop", "strict"])
def test_openssl_signs_the_digest_as_the_scheme_says(desk: Edoc, profile: str) -> None:
    made = _prepared(desk, "--cert", "rsa.crt", "--profile", profile)
    (desk.folder / "digest").write_bytes(bytes.fromhex(made["digest"]))
    strict = ("-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:32", "-pkeyopt", "rsa_mgf1_md:sha256")
    line = ("openssl", "pkeyutl", "-sign", "-inkey", "elsewhere/rsa.pem", "-in", "digest", "-out", "value")
    line = (*line, "-pkeyopt", "digest:sha256", *(strict if profile == "strict" else ()))
    subprocess.run(line, cwd=desk.folder, check=True)
    assert made["scheme"] == ("rsa-pss-sha256" if profile == "strict" else "rsa-pkcs1-sha256")
    assert _embedded(desk, "value").code == 0
    assert _valid(desk) == "PAdES-B-B"


@pytest.mark.parametrize("level", ["t", "lta"])
def test_the_levels_are_reached_after_the_value_has_come(desk: Edoc, services: tuple[str, DevPki], level: str) -> None:
    tsa = ("--tsa", services[0] + "/tsa")
    value = _signed(desk, "ec", _prepared(desk, "--cert", "ec.crt", *tsa, level=level)["digest"])
    ran = _embedded(desk, value.hex(), *tsa, "--level", level)
    assert ran.code == 0, ran.json
    assert _valid(desk) == f"PAdES-B-{level.upper()}"


def test_a_value_of_another_digest_or_key_is_refused_and_nothing_is_written(desk: Edoc) -> None:
    made = _prepared(desk, "--cert", "ec.crt")
    other = _signed(desk, "rsa", made["digest"])
    late = _signed(desk, "ec", "00" * 32)
    for wrong in (other.hex(), late.hex(), "zz", "00"):
        ran = _embedded(desk, wrong)
        assert (ran.code, ran.json["error"]["code"]) == (1, "EDOC-PDF-043")
    assert not (desk.folder / "signed.pdf").exists()


def test_a_prepared_file_that_was_changed_is_refused(desk: Edoc) -> None:
    value = _signed(desk, "ec", _prepared(desk, "--cert", "ec.crt")["digest"]).hex()
    whole = (desk.folder / "P").read_bytes()
    for at in range(0, len(whole), max(1, len(whole) // 40)):
        (desk.folder / "P").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        ran = _embedded(desk, value)
        assert ran.code in (1, 3), (at, ran.out)
        assert not (desk.folder / "signed.pdf").exists()
    (desk.folder / "P").write_bytes(whole)
    assert _embedded(desk, value).code == 0


def test_a_certificate_without_a_path_is_refused_before_anything_is_written(desk: Edoc) -> None:
    alone = (desk.folder / "ec.crt").read_text().partition("-----END CERTIFICATE-----")
    (desk.folder / "alone.crt").write_text(alone[0] + alone[1] + "\n")
    words = ("sign", "letter.pdf", "--prepare", "-o", "P", "--level", "b", "--cert", "alone.crt", *LINE)
    ran = desk(*words, env=DEMO)
    assert (ran.code, ran.json["error"]["code"]) == (1, "EDOC-KEY-012")
    assert not (desk.folder / "P").exists()


def test_a_certificate_that_has_expired_is_refused(desk: Edoc, services: tuple[str, DevPki]) -> None:
    old = services[1].issue(Role.PERSON, Subject("Nguyễn Văn Mẫu"), variant="expired")
    chain = (old.certificate, *old.credential.chain)
    (desk.folder / "old.crt").write_bytes(b"".join(pem(one) for one in chain))
    ran = desk("sign", "letter.pdf", "--prepare", "-o", "P", "--level", "b", "--cert", "old.crt", *LINE, env=DEMO)
    assert ran.code == 1
    assert not (desk.folder / "P").exists()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("sign", "--embed", "P"), 2),
        (("sign", "--embed", "P", "--value", "00"), 2),  # no -o
        (("sign", "letter.pdf", "--embed", "P", "--value", "00", "-o", "x.pdf"), 2),
        (("sign", "--embed", "absent", "--value", "00", "-o", "x.pdf"), 2),
        (("sign", "letter.pdf", "P", "--prepare", "--cert", "ec.crt", "--level", "b"), 2),
        (("sign", "note.xml", "--prepare", "--cert", "ec.crt", "--level", "b"), 3),
    ],
)
def test_what_does_not_go_together_is_told_by_name(desk: Edoc, words: tuple[str, ...], code: int) -> None:
    _prepared(desk, "--cert", "ec.crt")
    (desk.folder / "note.xml").write_bytes(b"<a/>")
    ran = desk(*words, *LINE, env=DEMO)
    assert ran.code == code, ran.out
    assert ran.json["error"]["message"]
    assert not Path(desk.folder / "x.pdf").exists()


def test_a_certificate_revoked_between_the_steps_is_refused(desk: Edoc, services: tuple[str, DevPki]) -> None:
    pki = services[1]
    late = pki.issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"))
    (desk.folder / "elsewhere" / "late.pem").write_bytes(late.pem)
    (desk.folder / "late.crt").write_bytes(late.certificates_pem)
    value = _signed(desk, "late", _prepared(desk, "--cert", "late.crt")["digest"])
    pki.revoke(late.certificate, datetime.now(UTC) - timedelta(minutes=1))
    ran = _embedded(desk, value.hex())
    assert (ran.code, ran.json["error"]["code"]) == (1, "EDOC-KEY-013")
    assert not (desk.folder / "signed.pdf").exists()


@pytest.mark.parametrize(
    ("entry", "forged", "code"),
    [
        ("at", "2001-01-01T00:00:00+00:00", "EDOC-PDF-042"),
        ("certificate", "", "EDOC-PDF-042"),
        ("field", "Signature2", "EDOC-PDF-021"),
        ("before", 0, "EDOC-PDF-042"),
        ("scheme", "ecdsa-sha384", "EDOC-PDF-042"),
    ],
)
def test_a_description_forged_with_its_sum_is_not_believed(
    desk: Edoc, entry: str, forged: str | int, code: str
) -> None:
    from signer.pdf import deferred

    value = _signed(desk, "ec", _prepared(desk, "--cert", "ec.crt")["digest"])
    mark, line, data = (desk.folder / "P").read_bytes().split(b"\n", 2)
    described = {**json.loads(line), entry: forged}
    described.pop(deferred.SUM)
    described[deferred.SUM] = deferred._sum(described)
    (desk.folder / "P").write_bytes(b"\n".join((mark, json.dumps(described).encode(), data)))
    ran = _embedded(desk, value.hex())
    assert (ran.code, ran.json["error"]["code"]) == (1, code)
    assert not (desk.folder / "signed.pdf").exists()


def test_an_address_with_a_password_is_refused_and_not_repeated(desk: Edoc) -> None:
    for level in ("t", "b"):
        words = ("letter.pdf", "--prepare", "-o", "P", "--cert", "ec.crt", "--level", level, "--trust", "root.pem")
        ran = desk("sign", *words, "--tsa", "http://ai:mat-khau-4711@127.0.0.1/tsa", "--json", "--debug", env=DEMO)
        assert "mat-khau-4711" not in ran.out + ran.err
        assert ran.code == (2 if level == "t" else 0)
