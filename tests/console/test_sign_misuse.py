"""What ``edoc sign`` must not do whatever it is told: files written over, keys of another role, half a pipe signed.

Console.md 1 (writing files, overrides), 4.1; signing.md 3.2; R26, R27, R28, R42, R47.
"""

import os
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from signer.credential import Role, Secret, load_pkcs12
from signer.devpki import DevIdentity, DevPki, Subject, pem
from signer.errors import CredentialError
from tests.console.conftest import Edoc, Ran
from tests.signer_pdf.files import simple
from transport import settings
from transport.desk import files, signplan
from transport.desk.signrequest import Delivery, Request
from transport.store.store import Store

PIN = b"ma-pin-4711"


@pytest.fixture(scope="module")
def world() -> DevPki:
    return DevPki.create(at=datetime.now(UTC) - timedelta(days=30))


@pytest.fixture(scope="module")
def identities(world: DevPki) -> dict[str, DevIdentity]:
    agency = Subject("Sở Mẫu A", organization="Sở Mẫu A", tax_number="0100000001")
    return {
        "leader": world.issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A")),
        "agency": world.issue(Role.AGENCY, agency),
        "exchange": world.issue(Role.EXCHANGE, agency),
        "plain": world.issue(Role.AGENCY, Subject("Sở Mẫu A")),
    }


@pytest.fixture
def desk(edoc: Edoc, world: DevPki, identities: dict[str, DevIdentity]) -> Edoc:
    """Letters, keys and the root in a folder."""
    for name, identity in identities.items():
        (edoc.folder / f"{name}.pem").write_bytes(identity.pem)
        (edoc.folder / f"{name}.p12").write_bytes(identity.pkcs12(PIN))
        (edoc.folder / f"{name}.crt").write_bytes(pem(identity.certificate))
    (edoc.folder / "root.pem").write_bytes(pem(world.root.certificate))
    (edoc.folder / "pin").write_bytes(PIN + b"\n")
    (edoc.folder / "x.pdf").write_bytes(simple())
    (edoc.folder / "x.txt").write_bytes(b"x")
    return edoc.here()


def sign(desk: Edoc, *words: str, key: str = "leader.pem") -> Ran:
    return desk("sign", *words, "--key", key, "--trust", "root.pem", "--level", "b", "--json")


def error(ran: Ran) -> dict[str, Any]:
    found: dict[str, Any] = ran.json["error"] if "error" in ran.json else ran.json["files"][0]["error"]
    return found


# --- nothing that the call reads is written over ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x.pdf", "leader.pem", "root.pem"])
@pytest.mark.parametrize("how", [("--manifest",), ("--force", "-o")])
def test_no_file_of_the_call_is_written_over(desk: Edoc, name: str, how: tuple[str, ...]) -> None:
    before = (desk.folder / name).read_bytes()
    ran = sign(desk, "x.pdf", *how, name)
    assert (ran.code, error(ran)["code"]) == (2, "EDOC-USE-022")
    assert (desk.folder / name).read_bytes() == before


def test_an_appendix_is_not_written_over_its_main_document(desk: Edoc) -> None:
    assert sign(desk, "x.pdf").code == 0
    words = ("x.txt", "--as", "agency", "--attachment", "--of", "x.signed.pdf", "-o", "x.signed.pdf", "--force")
    assert error(sign(desk, *words, key="agency.pem"))["code"] == "EDOC-USE-022"


def test_the_result_file_is_no_signed_file_and_replaces_only_one_of_its_kind(desk: Edoc) -> None:
    assert error(sign(desk, "x.pdf", "--manifest", "x.signed.pdf"))["code"] == "EDOC-USE-052"
    (desk.folder / "ghi-chep.txt").write_text("của tôi", "utf-8")
    assert error(sign(desk, "x.pdf", "--manifest", "ghi-chep.txt"))["code"] == "EDOC-USE-009"
    assert not (desk.folder / "x.signed.pdf").exists()
    assert sign(desk, "x.pdf", "--manifest", "m.json").code == 0
    assert sign(desk, "x.pdf", "--manifest", "m.json", "--resume").code == 0


def test_a_batch_of_thousands_knows_its_inputs_without_comparing_each_with_each(tmp_path: Path) -> None:
    names = [str(tmp_path / f"{number}.pdf") for number in range(3000)]
    for name in names:
        Path(name).touch()
    known = files.identities(names)
    assert len(known) == 3000
    os.link(names[7], tmp_path / "khac.pdf")
    with pytest.raises(Exception, match="EDOC-USE-022"):
        files.check_target(tmp_path / "khac.pdf", force=True, inputs=known)


# --- a pipe is read once ----------------------------------------------------------------------------------------------


def test_what_comes_through_a_named_pipe_is_signed_whole(desk: Edoc) -> None:
    import threading

    content = b"A" * 4096 + b"B" * 5000
    os.mkfifo(desk.folder / "ong.bin")
    writer = threading.Thread(target=lambda: (desk.folder / "ong.bin").write_bytes(content), daemon=True)
    writer.start()
    ran = sign(desk, "ong.bin", "-o", "ong.asice")
    writer.join(20)
    assert ran.code == 0
    with zipfile.ZipFile(desk.folder / "ong.asice") as container:
        assert container.read("ong.bin") == content


def test_planning_does_not_open_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ong.pdf")
    request = Request((str(tmp_path / "ong.pdf"),), datetime.now(UTC), delivery=Delivery(out_dir=str(tmp_path)))
    signplan.refuse_shared_targets(request)  # would wait for a writer for ever, had it opened the pipe
    assert list(tmp_path.iterdir()) == [tmp_path / "ong.pdf"]


# --- a key of another role --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "code"), [("agency", "EDOC-KEY-016"), ("exchange", "EDOC-USE-053")])
def test_an_agencys_key_imported_as_a_persons_signs_nothing_as_a_person(desk: Edoc, name: str, code: str) -> None:
    found = settings.load(home=desk.home, config=None, environ={}, overrides={})
    Store.create(found).close()
    assert desk("trust", "add", "root.pem", "--for", "signers,tsa", "--yes").code == 0
    words = ("agency", "add", "H99.01", "--name", "Sở Mẫu A", "--cert", "agency=agency.crt", "--yes")
    assert desk(*words).code == 0
    imported = desk("key", "import", f"{name}.p12", "--name", "k", "--role", "person", "--pin-file", "pin", "--json")
    assert imported.code in (0, 1)
    ran = desk("sign", "x.pdf", "--key", "k", "--pin-file", "pin", "--level", "b", "--json")
    assert (ran.code, error(ran)["code"]) == (1, code)
    assert not (desk.folder / "x.signed.pdf").exists()


def test_an_agencys_certificate_that_does_not_say_so_is_told_by_the_directory(desk: Edoc) -> None:
    found = settings.load(home=desk.home, config=None, environ={}, overrides={})
    Store.create(found).close()
    words = ("agency", "add", "H99.01", "--name", "Sở Mẫu A", "--cert", "agency=plain.crt", "--yes")
    assert desk(*words).code == 0
    desk("key", "import", "plain.p12", "--name", "k", "--role", "person", "--pin-file", "pin")
    assert error(sign(desk, "x.pdf", key="plain.pem"))["code"] == "EDOC-KEY-016"


# --- words that say nothing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("basis", [" ", "\u200b", "a\x1b[31m", "a\u202eb", "x" * 1001])
def test_a_basis_says_something_in_plain_words(desk: Edoc, basis: str) -> None:
    ran = sign(desk, "x.pdf", "--unsafe-unknown-status", "--basis", basis)
    assert (ran.code, error(ran)["code"]) == (2, "EDOC-USE-004")


@pytest.mark.parametrize(
    "words",
    [
        ("--visible", "t2", "--text", "SAO Y; Sở Mẫu A"),
        ("--as", "agency", "--copy", "sy", "--visible", "none"),
        ("--as", "agency", "--copy", "sy", "--visible", "seal"),
    ],
)
def test_the_line_of_a_copy_stands_on_copies_and_on_every_copy(desk: Edoc, words: tuple[str, ...]) -> None:
    ran = sign(desk, "x.pdf", *words, key="agency.pem" if "agency" in words else "leader.pem")
    assert (ran.code, error(ran)["code"]) == (2, "EDOC-USE-004")


# --- what a pass phrase and a file cost -------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", [b"mat\0khau-4711\n", b"\0" * 5000, b"x" * 5000])
def test_what_cannot_be_a_pass_phrase_is_not_tried_and_not_shown(edoc: Edoc, desk: Edoc, secret: bytes) -> None:
    (desk.folder / "sai").write_bytes(secret)
    words = ("sign", "x.pdf", "--key", "leader.p12", "--pin-file", "sai", "--trust", "root.pem", "--level", "b")
    ran = edoc(*words, "--json", "--debug", "-v")
    assert (ran.code, error(ran)["code"]) == (2, "EDOC-USE-024")
    assert "khau-4711" not in ran.out + ran.err
    assert "107, 104, 97, 117" not in ran.err, "the octets as numbers"


def test_a_pass_phrase_with_a_zero_octet_opens_no_container_and_is_not_shown(
    identities: dict[str, DevIdentity], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CredentialError, match="wrong"):
        load_pkcs12(identities["leader"].pkcs12(PIN), role=Role.PERSON, passphrase=lambda _: Secret(PIN + b"\0"))
    assert capfd.readouterr().err == ""


def test_reading_takes_memory_for_what_is_there_and_not_for_what_may_come(desk: Edoc) -> None:
    import resource

    def little() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (3 * 1024**3, 3 * 1024**3))

    away = Edoc(desk.folder)
    words = ("sign", "x.pdf", "--key", "leader.pem", "--trust", "root.pem", "--level", "b", "--json")
    ran = away(*words, preexec_fn=little)
    assert (ran.code, ran.json["files"][0]["status"]) == (0, "signed")
    (desk.folder / "to.bin").touch()
    os.truncate(desk.folder / "to.bin", 5 * 1024**3)
    ran = away("sign", "to.bin", *words[2:], preexec_fn=little)
    assert (ran.code, error(ran)["code"]) == (1, "EDOC-PDF-002")
    assert not (desk.folder / "to.bin.asice").exists()
