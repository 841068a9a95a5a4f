"""Files at the console: sign, verify, pack, inspect, unpack, as a clerk or a script runs them."""

import os
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

import pytest
from lxml import etree

from signer.asic import build_asice
from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, Subject, pem
from signer.trust import Limits
from signer.xml.profiles import Slip, seal_xml
from signer.zips import read_zip, write_zip
from tests.console.conftest import Edoc, Ran
from tests.console.schema import problems
from transport import settings
from transport.ledger.keys import LogKey
from transport.store.log import Log
from transport.store.store import Store

TODAY = datetime.now(UTC)


@pytest.fixture(scope="module")
def today_pki() -> DevPki:
    """An authority whose certificates are valid on the day the tests run."""
    return DevPki.create(at=TODAY - timedelta(days=30))


@pytest.fixture(scope="module")
def signer_today(today_pki: DevPki) -> DevIdentity:
    """The leader, today."""
    return today_pki.issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A", title="Phó Giám đốc"))


@dataclass(frozen=True)
class Desk:
    """A folder with a letter, keys and trust."""

    edoc: Edoc

    trust = ("--trust", "root.pem", "--revocation", "crl.crl", "--revocation", "root.crl")

    def sign(self, *files: str, key: str = "leader.pem", level: str = "b", extra: tuple[str, ...] = ()) -> Ran:
        """Sign files and read the answer as JSON."""
        return self.edoc("sign", *files, "--key", key, "--level", level, *self.trust, "--json", *extra)

    def verify(self, *files: str, extra: tuple[str, ...] = ()) -> Ran:
        """Judge files against the folder's trust."""
        return self.edoc("verify", *files, *self.trust, "--json", *extra)

    def write(self, name: str, data: bytes) -> str:
        """Write a file into the folder."""
        (self.edoc.folder / name).write_bytes(data)
        return name

    def read(self, name: str) -> bytes:
        """Read a file of the folder."""
        return (self.edoc.folder / name).read_bytes()

    def names(self) -> set[str]:
        """Return what lies in the folder."""
        return set(os.listdir(self.edoc.folder))


@pytest.fixture
def desk(edoc: Edoc, today_pki: DevPki, signer_today: DevIdentity) -> Desk:
    """The desk of a leader who has a letter to sign."""
    found = Desk(edoc.here())
    found.write("letter.pdf", resources.files("transport.demo").joinpath("data", "letter.pdf").read_bytes())
    found.write("leader.pem", signer_today.pem)
    found.write("leader.p12", signer_today.pkcs12(b"mat khau"))
    found.write("root.pem", pem(today_pki.root.certificate))
    found.write("crl.crl", today_pki.crl(at=TODAY))
    found.write("root.crl", today_pki.root_crl(at=TODAY))
    return found


def test_a_letter_is_signed_and_found_valid(desk: Desk) -> None:
    signed = desk.sign("letter.pdf")
    assert signed.code == 0
    assert problems(signed.json) == []
    entry = signed.json["files"][0]
    assert (entry["status"], entry["output"], entry["level"]) == ("signed", "letter.signed.pdf", "PAdES-B-B")
    verified = desk.verify("letter.signed.pdf")
    assert (verified.code, verified.err) == (0, "")
    assert problems(verified.json) == []
    assert verified.json["files"][0]["verdict"] == "valid"
    assert verified.json["files"][0]["sha256"] == entry["sha256_out"]
    assert desk.read("letter.signed.pdf").startswith(desk.read("letter.pdf"))


def test_an_unknown_root_leaves_the_letter_intact_and_undecided(desk: Desk) -> None:
    """Exit 3: intact, but nobody says whether the signer is to be trusted."""
    desk.sign("letter.pdf")
    ran = desk.edoc("verify", "letter.signed.pdf", "--json")
    assert ran.code == 3
    assert problems(ran.json) == []
    file = ran.json["files"][0]
    signature = file["signatures"][0]
    assert (file["verdict"], signature["integrity"]) == ("indeterminate", "intact")
    assert signature["sub_indication"] == "NO_CERTIFICATE_CHAIN_FOUND"
    assert file["reasons"][0] == {
        "code": "NO_CERTIFICATE_CHAIN_FOUND",
        "text": "không tìm thấy đường dẫn tới chứng thư gốc tin cậy",
        "signature": signature["id"],
    }


def test_a_changed_letter_is_invalid_under_every_policy(desk: Desk) -> None:
    desk.sign("letter.pdf")
    data = bytearray(desk.read("letter.signed.pdf"))
    data[len(desk.read("letter.pdf")) // 2] ^= 1
    desk.write("changed.pdf", bytes(data))
    for policy in ("interop", "strict", "integrity-only"):
        ran = desk.verify("changed.pdf", extra=("--policy", policy))
        assert ran.json["files"][0]["signatures"][0]["integrity"] == "broken"
        assert (ran.code, ran.json["files"][0]["verdict"]) == (1, "invalid")


def test_equal_input_gives_equal_answers(desk: Desk) -> None:
    """All fields but ``generated_at`` are equal, byte for byte."""
    desk.sign("letter.pdf")
    at = ("--at", TODAY.isoformat(timespec="seconds"))
    answers = [desk.verify("letter.signed.pdf", extra=at).json for _ in range(2)]
    for answer in answers:
        answer.pop("generated_at")
    assert answers[0] == answers[1]


def test_files_are_answered_in_their_order_and_the_worst_counts(desk: Desk) -> None:
    desk.sign("letter.pdf")
    ran = desk.verify("missing.pdf", "letter.signed.pdf", "letter.pdf")
    assert problems(ran.json) == []
    assert [file["path"] for file in ran.json["files"]] == ["missing.pdf", "letter.signed.pdf", "letter.pdf"]
    assert [file["verdict"] for file in ran.json["files"]] == ["indeterminate", "valid", "indeterminate"]
    assert ran.json["files"][0]["error"]["code"] == "EDOC-USE-008"
    assert ran.json["summary"] == {"files": 3, "valid": 1, "invalid": 0, "indeterminate": 2}
    assert ran.code == 2


def test_a_signed_file_is_never_replaced_by_itself(desk: Desk) -> None:
    desk.sign("letter.pdf")
    before = desk.read("letter.signed.pdf")
    again = desk.sign("letter.pdf")
    assert (again.code, again.json["files"][0]["error"]["code"]) == (2, "EDOC-USE-009")
    assert desk.read("letter.signed.pdf") == before
    over = desk.sign("letter.pdf", extra=("-o", "letter.pdf", "--force"))
    assert (over.code, over.json["files"][0]["error"]["code"]) == (2, "EDOC-USE-022")


def test_a_dry_run_writes_nothing(desk: Desk) -> None:
    before = desk.names()
    ran = desk.sign("letter.pdf", extra=("--dry-run",))
    assert (ran.code, ran.json["dry_run"], ran.json["files"][0]["status"]) == (0, True, "skipped")
    assert problems(ran.json) == []
    assert desk.names() == before


def _encrypted(desk: Desk) -> str:
    folder = desk.edoc.folder
    done = subprocess.run(
        ["qpdf", "--encrypt", "u", "o", "256", "--", "letter.pdf", "encrypted.pdf"], cwd=folder, check=False
    )
    assert done.returncode == 0
    return "encrypted.pdf"


def test_bad_files_are_refused_each_with_its_code_and_leave_nothing(desk: Desk) -> None:
    """Not a PDF, truncated, empty, a folder, missing: exit codes as documented, no half-written file."""
    letter = desk.read("letter.pdf")
    desk.write("text.pdf", b"this is a text")
    desk.write("cut.pdf", letter[: len(letter) * 2 // 3])
    desk.write("empty.pdf", b"")
    (desk.edoc.folder / "folder.pdf").mkdir()
    files = ("text.pdf", "cut.pdf", "empty.pdf", "folder.pdf", "missing.pdf")
    before = desk.names()
    ran = desk.sign(*files)
    assert problems(ran.json) == []
    codes = [file["error"]["code"] for file in ran.json["files"]]
    assert codes == ["EDOC-USE-031", "EDOC-PDF-005", "EDOC-USE-040", "EDOC-USE-015", "EDOC-USE-008"]
    assert [file["error"]["exit_code"] for file in ran.json["files"]] == [3, 1, 2, 2, 2]
    assert all(file["error"]["next"] for file in ran.json["files"])
    assert ran.code == 1
    assert desk.names() == before


@pytest.mark.skipif(not any(Path(p, "qpdf").exists() for p in os.get_exec_path()), reason="qpdf is not installed")
def test_an_encrypted_letter_is_neither_signed_nor_judged(desk: Desk) -> None:
    name = _encrypted(desk)
    refused = desk.sign(name)
    assert (refused.code, refused.json["files"][0]["error"]["code"]) == (1, "EDOC-PDF-004")
    verified = desk.verify(name)
    assert (verified.code, verified.json["files"][0]["reasons"][0]["code"]) == (3, "ENCRYPTED")


@pytest.mark.parametrize(
    ("extra", "code", "error"),
    [
        (("--pin-file", "wrong"), 5, "EDOC-KEY-002"),
        ((), 2, "EDOC-USE-023"),
        (("--pin-file", "missing"), 2, "EDOC-USE-024"),
        (("--pin-fd", "99"), 2, "EDOC-USE-024"),
    ],
)
def test_a_pass_phrase_that_is_wrong_or_missing(desk: Desk, extra: tuple[str, ...], code: int, error: str) -> None:
    desk.write("wrong", b"PLANTED-MARKER\n")
    before = desk.names()
    ran = desk.sign("letter.pdf", key="leader.p12", extra=extra)
    assert (ran.code, ran.json["error"]["code"]) == (code, error)
    assert "PLANTED" not in ran.out + ran.err
    assert desk.names() == before


def test_a_pass_phrase_is_read_from_a_file(desk: Desk) -> None:
    desk.write("pin", b"mat khau\n")
    assert desk.sign("letter.pdf", key="leader.p12", extra=("--pin-file", "pin")).code == 0


def test_an_expired_certificate_signs_nothing(desk: Desk, today_pki: DevPki) -> None:
    expired = today_pki.issue(Role.PERSON, Subject("Trần Thị Mẫu", organization="Sở Mẫu A"), variant="expired")
    desk.write("old.pem", expired.pem)
    ran = desk.sign("letter.pdf", key="old.pem")
    assert (ran.code, ran.json["error"]["code"]) == (1, "EDOC-KEY-004")
    assert "hết hạn" in ran.json["error"]["message"] + ran.json["error"]["why"]
    assert "letter.signed.pdf" not in desk.names()


def test_a_key_whose_path_is_not_trusted_signs_nothing(desk: Desk) -> None:
    ran = desk.edoc("sign", "letter.pdf", "--key", "leader.pem", "--level", "b", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (1, "EDOC-KEY-012")


def test_an_agency_signs_only_after_the_leader(desk: Desk, today_pki: DevPki) -> None:
    """R28 at the console: without a leader's valid signature the agency's key is not used."""
    agency = today_pki.issue(Role.AGENCY, Subject("Sở Mẫu A", organization="Sở Mẫu A", tax_number="0100000001"))
    desk.write("agency.pem", agency.pem)
    refused = desk.sign("letter.pdf", key="agency.pem", extra=("--as", "agency", "-o", "sealed.pdf"))
    assert refused.code == 1
    assert "sealed.pdf" not in desk.names()
    desk.sign("letter.pdf")
    sealed = desk.sign("letter.signed.pdf", key="agency.pem", extra=("--as", "agency", "-o", "sealed.pdf"))
    assert sealed.code == 0, sealed.out
    signatures = desk.verify("sealed.pdf").json["files"][0]["signatures"]
    assert [item["indication"] for item in signatures] == ["TOTAL-PASSED", "TOTAL-PASSED"]
    assert [item["later_changes"] for item in signatures] == ["allowed", "none"]


@pytest.mark.parametrize("role", ["agency", "exchange", "request"])
def test_a_key_known_for_another_role_signs_no_letter_as_a_persons(desk: Desk, today_pki: DevPki, role: str) -> None:
    """R28, R29: neither the wrong word nor the file instead of the name passes the node's knowledge by."""
    office = today_pki.issue(Role.AGENCY, Subject("Sở Mẫu A", organization="Sở Mẫu A"))
    desk.write("office.pem", office.pem)
    found = settings.load(home=desk.edoc.home, config=None, environ={}, overrides={})
    log = Log(LogKey.generate("a.example/edoc-ledger/2026"))
    with Store.create(found, log) as store:
        store.do(lambda unit: log.open_first(unit.connection, statement_sha256="0" * 64, at=TODAY))
    cert = desk.write("office.crt", pem(office.certificate))
    added = desk.edoc("agency", "add", "H99.01", "--name", "Sở Mẫu A", "--cert", f"{role}={cert}", "--yes")
    assert added.code == 0
    ran = desk.sign("letter.pdf", key="office.pem")
    assert (ran.code, ran.json["error"]["code"]) == (1, "EDOC-KEY-016")
    assert "letter.signed.pdf" not in desk.names()
    assert desk.sign("letter.pdf", key="leader.pem").code == 0


def test_a_revoked_certificate_signs_nothing_and_says_since_when(desk: Desk, today_pki: DevPki) -> None:
    revoked = today_pki.issue(Role.PERSON, Subject("Lê Văn Mẫu"))
    now_revoked = DevPki(today_pki.root, today_pki.issuing, today_pki.ocsp_signer, today_pki.tsa, None)
    now_revoked.revoke(revoked.certificate, datetime(2026, 1, 5, 2, 30, tzinfo=UTC))
    desk.write("crl.crl", now_revoked.crl(at=TODAY))
    desk.write("revoked.pem", revoked.pem)
    ran = desk.edoc("sign", "letter.pdf", "--key", "revoked.pem", "--level", "b", *desk.trust, "--lang", "en")
    assert ran.code == 1
    told = '"Lê Văn Mẫu" was revoked at 05/01/2026 09:30:00 +07:00'
    assert any(line.endswith(told) for line in ran.err.splitlines())
    assert "letter.signed.pdf" not in desk.names()


def test_a_folder_is_no_file_to_sign(desk: Desk) -> None:
    for name in (".", "..", "/"):
        ran = desk.sign(name)
        assert (ran.code, ran.json["files"][0]["error"]["code"]) == (2, "EDOC-USE-015")


def test_trust_is_loaded_whole_or_not_at_all(desk: Desk) -> None:
    (desk.edoc.folder / "none").mkdir()
    desk.write("rubbish.pem", b"not a certificate")
    for name, code in (("missing.pem", "EDOC-USE-008"), ("rubbish.pem", "EDOC-TRU-002"), ("none", "EDOC-USE-037")):
        ran = desk.edoc("verify", "letter.pdf", "--trust", "root.pem", "--trust", name, "--json")
        assert (ran.code, ran.json["error"]["code"]) == (2, code)


def test_hostile_names_change_nothing_on_a_terminal(desk: Desk) -> None:
    """Escape, bidi and newline characters of a file name are shown, not obeyed; JSON carries the true value."""
    hostile = "a\x1b[31m\u202efdp\n.pdf"
    desk.write(hostile, desk.read("letter.pdf"))
    shown = desk.edoc("verify", hostile, *desk.trust)
    assert len(shown.out.splitlines()) == 1
    assert "\x1b" not in shown.out
    assert "\u202e" not in shown.out
    assert r"\u001b" in shown.out
    assert desk.verify(hostile).json["files"][0]["path"] == hostile


def test_a_container_in_a_pipe_names_its_parts_and_what_stands_against_it(
    desk: Desk, signer_today: DevIdentity
) -> None:
    """One record per signature, one for the file's own reason, and the parts by the names they have in JSON."""
    desk.sign("letter.pdf")
    office = signer_today.credential
    sealed = build_asice([("vb.pdf", desk.read("letter.signed.pdf"), "application/pdf")], credential=office, at=TODAY)
    members = [(member.name, member.data) for member in read_zip(sealed, limits=Limits())]
    desk.write("more.asice", write_zip([*members, ("thêm.txt", b"x")]))
    ran = desk.edoc("verify", "more.asice", *desk.trust, "--lang", "en")
    lines = [line.split("\t") for line in ran.out.splitlines()]
    assert ran.code == 1
    assert [(line[0], line[1]) for line in lines] == [
        ("✘ INVALID", "more.asice"),
        ("✘ INVALID", "more.asice"),
        ("✔ VALID", "more.asice!/vb.pdf"),
    ]
    assert 'no signature covers "thêm.txt"' in lines[1][-1]


def test_a_sealed_message_whose_document_cannot_be_read_is_not_valid(desk: Desk, today_pki: DevPki) -> None:
    """The seal holds, but nobody has looked at the parts: exit 3 and the reason, never the seal's word alone."""
    office = today_pki.issue(Role.EXCHANGE, Subject("Sở Mẫu A", organization="Sở Mẫu A"))
    root = etree.fromstring('<edXML xmlns="http://www.mic.gov.vn/TBT/QCVN_102_2016"><x/></edXML>')
    slip = Slip("6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4", "H99.01", "edoc", TODAY)
    desk.write("odd.edxml", seal_xml(root, slip=slip, credential=office.credential))
    ran = desk.verify("odd.edxml")
    file = ran.json["files"][0]
    assert (ran.code, file["verdict"], file["reasons"][0]["code"]) == (3, "indeterminate", "MALFORMED")
    assert (file["signatures"][0]["integrity"], problems(ran.json)) == ("intact", [])


def test_a_folder_of_status_answers_may_hold_certificates_too(desk: Desk) -> None:
    """What the demonstration leaves in its folder serves for both options."""
    desk.sign("letter.pdf")
    assert desk.edoc("verify", "letter.signed.pdf", "--trust", "root.pem", "--revocation", ".").code == 0


def test_standard_input_and_output_work_in_a_pipe(desk: Desk) -> None:
    signed = desk.edoc("sign", "-", "--key", "leader.pem", "--level", "b", *desk.trust, stdin=desk.read("letter.pdf"))
    assert signed.code == 0
    assert signed.raw.startswith(b"%PDF-")
    verified = desk.edoc("verify", "-", *desk.trust, "--json", stdin=signed.raw)
    assert (verified.code, verified.json["files"][0]["path"]) == (0, "-")


def test_a_closed_pipe_keeps_the_verdict(desk: Desk) -> None:
    """The reader went away; the exit code still says what the file is."""
    import sys

    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "edoc", "verify", "letter.pdf"],
        stdout=write,
        stderr=subprocess.PIPE,
        cwd=desk.edoc.folder,
        env=desk.edoc.environment(),
        check=False,
    )
    os.close(write)
    assert done.returncode == 3
    told = done.stderr.decode().splitlines()
    assert [line.partition(":")[0] for line in told] == ["edoc"], told  # the one hint, and no complaint about the pipe


def test_xml_is_signed_and_found_valid(desk: Desk) -> None:
    desk.write("a.xml", b'<a xmlns="urn:mau"><b>1</b></a>')
    signed = desk.sign("a.xml")
    assert (signed.code, signed.json["files"][0]["level"]) == (0, "XAdES-B-B")
    assert desk.verify("a.signed.xml").code == 0


FACTS = ("--from", "H99.01", "--from-name", "Sở Mẫu A", "--number", "120", "--notation", "SMA-VP", "--to", "H99.02")
SUBJECT = ("--subject", "V/v thử nghiệm liên thông văn bản")


def test_a_signed_letter_is_packed_looked_into_and_taken_out(desk: Desk) -> None:
    desk.sign("letter.pdf")
    packed = desk.edoc("pack", "letter.signed.pdf", *FACTS, *SUBJECT, *desk.trust[:2], "--json")
    assert packed.code == 0, packed.out
    assert problems(packed.json) == []
    assert packed.json["path"] == "letter.signed.edxml"
    looked = desk.edoc("inspect", "letter.signed.edxml", "--json")
    assert problems(looked.json) == []
    assert looked.json["verified"] is False
    assert looked.json["document"]["notation"] == "SMA-VP"
    assert looked.json["document"]["document_id"] == packed.json["document_id"]
    assert looked.json["attachments"][0]["sha256"] == packed.json["attachments"][0]["sha256"]
    assert desk.edoc("inspect", "letter.signed.edxml").out.startswith("CHƯA KIỂM TRA CHỮ KÝ\n")
    taken = desk.edoc("unpack", "letter.signed.edxml", "-d", "out", "--json")
    assert problems(taken.json) == []
    assert (desk.edoc.folder / "out" / "letter.signed.pdf").read_bytes() == desk.read("letter.signed.pdf")
    again = desk.edoc("unpack", "letter.signed.edxml", "-d", "out")
    assert (again.code, "EDOC-USE-009" in again.err) == (2, True)


@pytest.mark.parametrize(
    ("line", "code", "error"),
    [
        ((), 2, "EDOC-USE-019"),
        ((*FACTS, *SUBJECT, "--priority", "9"), 2, "EDOC-USE-004"),
        ((*FACTS, *SUBJECT, "--date", "20/11/2026"), 2, "EDOC-USE-004"),
        ((*FACTS, *SUBJECT, "--meta", "missing.toml"), 2, "EDOC-USE-008"),
        ((*FACTS, *SUBJECT, "--meta", "letter.pdf"), 2, "EDOC-USE-029"),
    ],
)
def test_packing_with_bad_facts_is_refused(desk: Desk, line: tuple[str, ...], code: int, error: str) -> None:
    desk.sign("letter.pdf")
    ran = desk.edoc("pack", "letter.signed.pdf", *line, "--json")
    assert (ran.code, ran.json["error"]["code"]) == (code, error)
    assert "letter.signed.edxml" not in desk.names()


def test_an_unsigned_letter_is_packed_only_when_asked_to(desk: Desk) -> None:
    refused = desk.edoc("pack", "letter.pdf", *FACTS, *SUBJECT, "--json")
    assert (refused.code, refused.json["error"]["code"]) == (1, "EDOC-USE-042")
    assert desk.edoc("pack", "letter.pdf", *FACTS, *SUBJECT, "--allow-information-only").code == 0


def test_a_letter_marked_secret_is_not_packed(desk: Desk) -> None:
    desk.sign("letter.pdf")
    ran = desk.edoc("pack", "letter.signed.pdf", *FACTS, "--subject", "[MẬT] V/v thử nghiệm", "--json")
    assert ran.code == 1
    assert "letter.signed.edxml" not in desk.names()


def test_facts_of_the_document_may_come_from_a_file(desk: Desk) -> None:
    desk.sign("letter.pdf")
    text = 'from = "H99.01"\nfrom_name = "Sở Mẫu A"\nnumber = 120\nnotation = "SMA-VP"\nto = ["H99.02"]\n'
    desk.write("meta.toml", (text + 'date = 2026-11-20\nsubject = "V/v thử nghiệm"\n').encode())
    ran = desk.edoc("pack", "letter.signed.pdf", "--meta", "meta.toml", "--json")
    assert ran.code == 0, ran.out
    assert "120/SMA-VP" in ran.json["document_id"]


def test_an_unknown_format_is_said_to_be_unknown(desk: Desk) -> None:
    desk.write("x.bin", b"\x00\x01\x02")
    for command in ("inspect", "unpack"):
        ran = desk.edoc(command, "x.bin", "--json")
        assert (ran.code, ran.json["error"]["code"]) == (3, "EDOC-USE-043")
    assert desk.verify("x.bin").code == 3
