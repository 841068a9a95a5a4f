"""``edoc verify`` as a person or a script runs it: every option of console.md 4.2, with its exit code."""

import base64
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from lxml import etree

from signer.asic import read_container
from signer.report import Code, Report
from signer.trust import Limits
from tests.console.conftest import Edoc, Ran
from tests.console.schema import problems
from tests.reports.conftest import context
from transport.desk.checking import judged_source
from transport.desk.console import Console
from transport.desk.files import Source
from transport.judging.files import Judging

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"
TRUST = (
    "--trust", str(SAMPLES / "trust"), "--revocation", str(SAMPLES / "trust"), "--at", "2026-11-20T12:00:00+07:00",
)  # fmt: skip
DS = "http://www.w3.org/2000/09/xmldsig#"


@pytest.fixture
def desk(edoc: Edoc) -> Edoc:
    """A desk with the sample letter, its seal, a receipt, and the unsigned letter."""
    for name in ("letter.signed.pdf", "letter.pdf", "receipt.xml", "letter.sealed.edxml"):
        shutil.copy(SAMPLES / name, edoc.folder / name)
    return edoc.here()


def verdicts(ran: Ran) -> list[tuple[str, str]]:
    """Return path and verdict of every file, after the answer was held against its schema."""
    assert problems(ran.json) == []
    return [(file["path"], file["verdict"]) for file in ran.json["files"]]


# --- folders and several files ---------------------------------------------------------------------------------------


def test_a_folder_needs_r_and_is_walked_in_order_without_hidden_files_and_our_outputs(desk: Edoc) -> None:
    box = desk.folder / "box"
    (box / "b").mkdir(parents=True)
    (box / ".hidden").mkdir()
    for name in ("z.pdf", "b/a.pdf", "b/note.txt", ".hidden/x.pdf", ".x.pdf", "z.verify.html"):
        shutil.copy(desk.folder / "letter.signed.pdf", box / name)
    refused = desk("verify", "box", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (2, "EDOC-USE-046")
    assert "-r" in refused.json["error"]["next"]
    ran = desk("verify", "box", "-r", "--glob", "*.pdf", *TRUST, "--json")
    assert verdicts(ran) == [("box/b/a.pdf", "valid"), ("box/z.pdf", "valid")]
    assert [path for path, _ in verdicts(desk("verify", "box", "-r", "--json"))] == [
        "box/b/a.pdf", "box/b/note.txt", "box/z.pdf",
    ]  # fmt: skip


def test_several_processes_give_the_same_answers_in_the_same_order(desk: Edoc) -> None:
    names = ["letter.signed.pdf", "missing.pdf", "receipt.xml", "letter.pdf", "letter.sealed.edxml"]
    one = desk("verify", *names, *TRUST, "--json")
    many = desk("verify", *names, *TRUST, "--json", "--jobs", "3")
    assert (one.code, many.code) == (2, 2)
    answers = [ran.json for ran in (one, many)]
    for answer in answers:
        answer.pop("generated_at")
    assert answers[0] == answers[1]
    assert [path for path, _ in verdicts(desk("verify", *names, "--json", "--jobs", "2"))] == names


@pytest.mark.parametrize("jobs", ["0", "-1", "65", "two"])
def test_an_impossible_number_of_processes_is_wrong_usage(desk: Edoc, jobs: str) -> None:
    assert desk("verify", "letter.pdf", f"--jobs={jobs}", "--json").code == 2


def test_standard_input_may_stand_among_files(desk: Edoc) -> None:
    data = (SAMPLES / "receipt.xml").read_bytes()
    for jobs in ("1", "2"):
        ran = desk("verify", "letter.signed.pdf", "-", *TRUST, "--json", "--jobs", jobs, stdin=data)
        assert verdicts(ran) == [("letter.signed.pdf", "valid"), ("-", "valid")]
        assert ran.json["files"][1]["sha256"] == hashlib.sha256(data).hexdigest()


def test_exit_codes_follow_the_worst_answer(desk: Edoc) -> None:
    """1 invalid, else 2 unreadable, else 3 indeterminate, else 0; never 4."""
    data = bytearray((SAMPLES / "letter.signed.pdf").read_bytes())
    data[3000] ^= 1
    (desk.folder / "changed.pdf").write_bytes(bytes(data))
    assert desk("verify", "letter.signed.pdf", *TRUST).code == 0
    assert desk("verify", "letter.signed.pdf", "letter.pdf", *TRUST).code == 3
    assert desk("verify", "letter.signed.pdf", "letter.pdf", "no.pdf", *TRUST).code == 2
    assert desk("verify", "no.pdf", "letter.pdf", "changed.pdf", *TRUST).code == 1


def test_pictures_that_show_no_difference_leave_the_answer_as_it_was(desk: Edoc) -> None:
    """The setting ``verify.pictures`` changes nothing about a letter that only got number, date and seal."""
    plain = desk("verify", "letter.signed.pdf", *TRUST, "--json")
    drawn = desk("verify", "letter.signed.pdf", *TRUST, "--json", env={"EDOC_VERIFY__PICTURES": "true"})
    assert drawn.code == plain.code == 0
    assert drawn.json["files"] == plain.json["files"]


# --- what the caller gives -------------------------------------------------------------------------------------------


def detached(key: ec.EllipticCurvePrivateKey, uri: str, content: bytes) -> bytes:
    """Return an XML signature over external content, with neither certificate nor key in it."""
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode("ascii")
    info = (
        f'<ds:SignedInfo xmlns:ds="{DS}"><ds:CanonicalizationMethod '
        'Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></ds:CanonicalizationMethod><ds:SignatureMethod '
        'Algorithm="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"></ds:SignatureMethod>'
        f'<ds:Reference URI="{uri}"><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256">'
        f"</ds:DigestMethod><ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
    )
    canonical = etree.tostring(etree.fromstring(info), method="c14n", exclusive=True)
    r, s = utils.decode_dss_signature(key.sign(canonical, ec.ECDSA(hashes.SHA256())))
    value = base64.b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).decode("ascii")
    inner = info.replace(f' xmlns:ds="{DS}"', "", 1)
    return (
        f'<ds:Signature xmlns:ds="{DS}">{inner}<ds:SignatureValue>{value}</ds:SignatureValue></ds:Signature>'.encode()
    )


def test_content_and_key_of_a_detached_signature_settle_integrity_and_no_more(desk: Edoc) -> None:
    """Without content: unknown; with it and the key: intact, and still nobody says who signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (desk.folder / "key.pem").write_bytes(public)
    (desk.folder / "letter.txt").write_bytes(b"content")
    (desk.folder / "other.txt").write_bytes(b"something else")
    (desk.folder / "a.xml").write_bytes(detached(key, "letter.txt", b"content"))

    def found(*options: str) -> tuple[int, str, str]:
        ran = desk("verify", "a.xml", *options, "--json")
        verdicts(ran)
        signature = ran.json["files"][0]["signatures"][0]
        return ran.code, signature["integrity"], signature["sub_indication"]

    key_given = ("--public-key", "key.pem")
    assert found(*key_given) == (3, "unknown", "SIGNED_DATA_NOT_FOUND")
    assert found(*key_given, "--content", "letter.txt=letter.txt") == (3, "intact", "NO_SIGNING_CERTIFICATE_FOUND")
    assert found(*key_given, "--content", "letter.txt") == (3, "intact", "NO_SIGNING_CERTIFICATE_FOUND")
    assert found(*key_given, "--content", "letter.txt=other.txt") == (1, "broken", "HASH_FAILURE")
    only = desk("verify", "a.xml", *key_given, "--content", "letter.txt", "--policy", "integrity-only")
    assert only.code == 0


def test_what_is_given_must_be_usable(desk: Edoc) -> None:
    """A missing content, a file without a key: exit 2, and no file is judged."""
    for options, code in (
        (("--content", "none.bin"), "EDOC-USE-008"),
        (("--content", "x=none.bin"), "EDOC-USE-008"),
        (("--public-key", "letter.pdf"), "EDOC-USE-047"),
        (("--trust", "letter.pdf"), "EDOC-TRU-002"),
        (("--policy", "lax"), "EDOC-USE-004"),
        (("--require", "draft"), "EDOC-USE-004"),
        (("--at", "yesterday"), "EDOC-USE-027"),
    ):
        ran = desk("verify", "letter.pdf", *options, "--json")
        assert (ran.code, ran.json["error"]["code"]) == (2, code)
        assert problems(ran.json) == []


def test_a_name_with_an_equals_sign_that_exists_is_a_file(desk: Edoc) -> None:
    (desk.folder / "a=b.txt").write_bytes(b"x")
    assert desk("verify", "letter.signed.pdf", *TRUST, "--content", "a=b.txt").code == 0


def test_proofs_are_verified_with_statements_and_keys_of_the_call(desk: Edoc) -> None:
    """A statement among the files makes the proof valid; a bare key settles integrity; without either it is open."""
    members = read_container((SAMPLES / "evidence.asice").read_bytes()).members
    (desk.folder / "a.proof").write_bytes(members["ledger/own/01-sent.tlog-proof"])
    (desk.folder / "head").write_bytes(members["ledger/2fa9eac7e9a1adc9/checkpoint-7"])
    (desk.folder / "keys.xml").write_bytes(members["ledger/keys/H99.01-1.xml"])
    open_ = desk("verify", "a.proof", "head", *TRUST, "--json")
    assert (open_.code, verdicts(open_)) == (3, [("a.proof", "indeterminate"), ("head", "indeterminate")])
    assert open_.json["files"][0]["reasons"][0]["code"] == "NO_SIGNING_CERTIFICATE_FOUND"
    proved = desk("verify", "a.proof", "head", "keys.xml", *TRUST, "--json")
    assert (proved.code, {verdict for _, verdict in verdicts(proved)}) == (0, {"valid"})
    assert desk("verify", "a.proof", *TRUST, "--content", "keys.xml").code == 0
    vkey = etree.fromstring(members["ledger/keys/H99.01-1.xml"]).find("{*}Log").get("vkey")  # type: ignore[union-attr]
    (desk.folder / "vkey.txt").write_text(str(vkey), "ascii")
    bare = desk("verify", "a.proof", *TRUST, "--public-key", "vkey.txt", "--json")
    assert bare.code == 3
    assert bare.json["files"][0]["signatures"][0]["integrity"] == "intact"


# --- limits and memory -----------------------------------------------------------------------------------------------


@pytest.mark.process
@pytest.mark.parametrize(("name", "head"), [("big.pdf", b"%PDF-1.7\n"), ("big.xml", b"<?xml version='1.0'?><a>")])
def test_a_file_over_its_limit_is_named_and_never_held_in_memory(edoc: Edoc, name: str, head: bytes) -> None:
    """One GiB of zeros behind a known beginning: hashed, undecided, and the process stays small."""
    path = edoc.folder / name
    with open(path, "wb") as file:
        file.write(head)
        file.truncate(2**30)

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (700 * 2**20, 700 * 2**20))

    done = subprocess.run(
        [sys.executable, "-m", "edoc", "verify", name, "--json"],
        cwd=edoc.folder,
        env=edoc.environment(),
        capture_output=True,
        preexec_fn=limited,
        check=False,
    )
    answer = json.loads(done.stdout)
    assert problems(answer) == []
    file_entry = answer["files"][0]
    assert (done.returncode, file_entry["size"]) == (3, 2**30)
    assert [reason["code"] for reason in file_entry["reasons"]] == ["LIMIT_EXCEEDED"]
    assert len(file_entry["sha256"]) == 64


def test_a_sealed_message_over_the_limit_of_xml_is_checked_in_one_pass(desk: Edoc) -> None:
    """The limit for XML held in memory is no limit for sealed messages; their attachments are opened all the same."""
    import io

    small = replace(context(), limits=Limits(xml_max_bytes=1000))
    data = (SAMPLES / "letter.sealed.edxml").read_bytes()
    console = Console(["verify"], {})
    for size in (None, len(data)):
        source = Source("a", io.BytesIO(data), b"", size)
        source.head = source.stream.read(8192)
        report = judged_source(source, console, Judging(small), fetched_at=None)
        assert report == Judging(context()).judge(data)
    foreign = data.replace(b"\n", b"\r\n")
    source = Source("a", io.BytesIO(foreign), b"", len(foreign))
    report = judged_source(source, console, Judging(small), fetched_at=None)
    assert [reason.code for reason in report.reasons] == [Code.LIMIT_EXCEEDED]
    assert report.sha256 == hashlib.sha256(foreign).hexdigest()


def test_the_limit_of_pdf_comes_from_the_settings(desk: Edoc) -> None:
    (desk.folder / "edoc.toml").write_text('[limits]\npdf_max_bytes = "100 kB"\n', "utf-8")
    ran = desk("verify", "letter.signed.pdf", "--config", "edoc.toml", "--json")
    assert ran.json["files"][0]["reasons"][0]["code"] == "LIMIT_EXCEEDED"
    assert ran.json["files"][0]["sha256"] == hashlib.sha256((SAMPLES / "letter.signed.pdf").read_bytes()).hexdigest()


def test_policy_and_algorithms_may_come_from_the_settings(desk: Edoc) -> None:
    """The option wins over the setting; a table that cannot be used is a fault of the set-up."""
    (desk.folder / "edoc.toml").write_text('[verify]\npolicy = "integrity-only"\n', "utf-8")
    assert desk("verify", "letter.signed.pdf", "--config", "edoc.toml", "--json").json["policy"] == "integrity-only"
    given = desk("verify", "letter.signed.pdf", "--config", "edoc.toml", "--policy", "strict", "--json")
    assert given.json["policy"] == "strict"
    (desk.folder / "table.toml").write_text("name = 'x'\n", "utf-8")
    (desk.folder / "bad.toml").write_text('[verify]\nalgorithms = "table.toml"\n', "utf-8")
    refused = desk("verify", "letter.signed.pdf", "--config", "bad.toml", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (6, "EDOC-USE-049")


# --- no network, nothing heavy ---------------------------------------------------------------------------------------


@pytest.mark.process
@pytest.mark.parametrize(
    ("name", "forbidden"),
    [
        ("receipt.xml", ("pyhanko", "sqlmodel", "sqlalchemy", "aiohttp", "signer.pdf")),
        ("letter.signed.pdf", ("pyhanko", "sqlmodel", "aiohttp")),
        ("evidence.asice", ("sqlmodel", "aiohttp")),
    ],
)
def test_judging_loads_nothing_heavy_and_opens_no_socket(edoc: Edoc, name: str, forbidden: tuple[str, ...]) -> None:
    script = (
        "import sys, socket, cli\n"
        "def no(*a, **k): raise AssertionError('socket')\n"
        "socket.socket = socket.create_connection = no\n"
        f"try: cli.main(['verify', {str(SAMPLES / name)!r}, *{list(TRUST)!r}])\n"
        "except SystemExit as ended: code = ended.code\n"
        f"print(code, sorted(set({forbidden!r}) & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=edoc.folder, env=edoc.environment(), capture_output=True, check=False
    )
    assert done.stderr.decode().splitlines()[-1] == "0 []"


def test_nothing_to_check_is_not_all_valid(desk: Edoc) -> None:
    (desk.folder / "empty").mkdir()
    ran = desk("verify", "empty", "-r", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (2, "EDOC-USE-050")


def test_a_file_that_ends_its_process_is_told_and_the_others_are_judged(
    desk: Edoc, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that kills its process is a fault of the program (70) at that file; no verdict is made of it."""
    judge = Judging.judge

    def deadly(self: Judging, data: bytes) -> Report:
        if data.startswith(b"deadly"):
            os._exit(9)
        return judge(self, data)

    monkeypatch.setattr(Judging, "judge", deadly)
    (desk.folder / "bad").write_bytes(b"deadly")
    ran = desk("verify", "letter.signed.pdf", "bad", "receipt.xml", *TRUST, "--json", "--jobs", "2")
    assert ran.code == 70
    assert verdicts(ran) == [("letter.signed.pdf", "valid"), ("bad", "indeterminate"), ("receipt.xml", "valid")]
    assert ran.json["files"][1]["error"]["code"] == "EDOC-INT-003"


def test_a_fault_of_the_program_is_told_at_its_file_and_is_no_verdict(
    desk: Edoc, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = Judging.judge

    def faulty(self: Judging, data: bytes) -> Report:
        if data.startswith(b"faulty"):
            raise ZeroDivisionError
        return judge(self, data)

    monkeypatch.setattr(Judging, "judge", faulty)
    (desk.folder / "bad").write_bytes(b"faulty")
    ran = desk("verify", "bad", "receipt.xml", *TRUST, "--json")
    assert (ran.code, verdicts(ran)) == (70, [("bad", "indeterminate"), ("receipt.xml", "valid")])
    assert ran.json["files"][0]["error"]["code"] == "EDOC-INT-001"


# --- what a clerk does next ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["letter.signed.pdf"], "--trust"),
        (["letter.pdf", *TRUST], "đã ký số"),
        (["empty.pdf"], "0 byte"),
        (["changed.pdf", *TRUST], "không dùng tệp không hợp lệ"),
        (["letter.signed.pdf", *TRUST, "--require", "original"], "danh bạ"),
    ],
)
def test_an_answer_that_is_not_valid_says_beside_it_what_to_do_next(desk: Edoc, line: list[str], said: str) -> None:
    data = bytearray((SAMPLES / "letter.signed.pdf").read_bytes())
    data[3000] ^= 1
    (desk.folder / "changed.pdf").write_bytes(bytes(data))
    (desk.folder / "empty.pdf").write_bytes(b"")
    told = desk("verify", *line)
    assert said in told.err
    assert all(text.startswith("edoc: ") for text in told.err.splitlines())
    assert said not in told.out
    assert desk("verify", *line, "-q").err == ""
    assert desk("verify", *line, "--json").err == ""


def test_a_valid_answer_has_nothing_beside_it(desk: Edoc) -> None:
    assert desk("verify", "letter.signed.pdf", *TRUST).err == ""


def test_integrity_alone_is_said_in_every_record_of_a_pipe(desk: Edoc) -> None:
    """A record taken alone must never pass for "signed by someone known" (console.md 5.4)."""
    ran = desk("verify", "letter.signed.pdf", "--policy", "integrity-only")
    assert ran.code == 0
    assert all(record.split("\t")[2] == "CHỈ KIỂM TRA TÍNH TOÀN VẸN" for record in ran.out.splitlines())


def test_under_strict_the_missing_time_stamp_is_said_in_words(desk: Edoc) -> None:
    ran = desk("verify", "letter.sealed.edxml", *TRUST, "--policy", "strict")
    assert "phải có dấu thời gian tin cậy" in ran.out
    assert "SIGNING_TIME_NOT_PROVED" not in ran.out


def test_an_empty_name_is_not_the_current_folder(desk: Edoc) -> None:
    ran = desk("verify", "", "-r", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (2, "EDOC-USE-003")


def test_standard_input_stands_once_among_the_files(desk: Edoc) -> None:
    ran = desk("verify", "-", "-", "--json", stdin=b"%PDF-1.7")
    assert (ran.code, ran.json["error"]["code"]) == (2, "EDOC-USE-012")
