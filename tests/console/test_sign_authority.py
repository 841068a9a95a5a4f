"""What the authority table does to ``edoc sign`` and ``edoc verify`` (R26, R28, R29, R37; signing.md 3.2)."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, Subject, pem
from tests.console.conftest import Edoc, Ran
from tests.console.schema import problems
from tests.signer_pdf.files import simple
from transport import settings
from transport.desk.authorising import account_at_desk
from transport.store.store import Store

TODAY = (datetime.now(UTC) + timedelta(hours=7)).date()
YESTERDAY, TOMORROW = TODAY - timedelta(1), TODAY + timedelta(1)
DEPUTY = ("--position", "Phó Giám đốc", "--capacity", "KT.", "--basis", "QĐ 12")
ME = account_at_desk()


@pytest.fixture(scope="module")
def world() -> DevPki:
    return DevPki.create(at=datetime.now(UTC) - timedelta(days=30))


@pytest.fixture(scope="module")
def identities(world: DevPki) -> dict[str, DevIdentity]:
    """A leader, somebody else and the agency, with certificates of today."""
    return {
        "leader": world.issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A")),
        "other": world.issue(Role.PERSON, Subject("Lê Văn Mẫu", organization="Sở Mẫu A")),
        "agency": world.issue(Role.AGENCY, Subject("Sở Mẫu A", organization="Sở Mẫu A", tax_number="0100000001")),
    }


@pytest.fixture
def node(edoc: Edoc, world: DevPki, identities: dict[str, DevIdentity]) -> Edoc:
    """A node of H99.01 that trusts the root and knows the agency's certificate; the leader has an account."""
    found = settings.load(home=edoc.home, config=None, environ={}, overrides={})
    Store.create(found).close()
    (edoc.home / "edoc.toml").write_text('[agency]\ncode = "H99.01"\nname = "Sở Mẫu A"\n', "utf-8")
    for name, identity in identities.items():
        (edoc.folder / f"{name}.pem").write_bytes(identity.pem)
        (edoc.folder / f"{name}.crt").write_bytes(pem(identity.certificate))
    (edoc.folder / "root.pem").write_bytes(pem(world.root.certificate))
    (edoc.folder / "x.pdf").write_bytes(simple())
    (edoc.folder / "x.xml").write_bytes(b"<a>x</a>")
    desk = edoc.here()
    assert desk("trust", "add", "root.pem", "--for", "signers,tsa", "--yes").code == 0
    assert desk("agency", "add", "H99.01", "--name", "Sở Mẫu A", "--cert", "agency=agency.crt", "--yes").code == 0
    assert desk("user", "add", "mau", "--name", "Nguyễn Văn Mẫu", "--role", "leader", "--cert", "leader.crt").code == 0
    return desk


def granted(node: Edoc, *words: str, name: str = "mau") -> None:
    ran = node("user", "grant", name, *words, "--json")
    assert ran.code == 0, ran.out


def signed(node: Edoc, name: str, *words: str, key: str = "leader.pem") -> Ran:
    return node("sign", name, "--key", key, "--level", "b", *words, "--json")


def sealed(node: Edoc, *words: str, name: str = "x.signed.pdf") -> Ran:
    return signed(node, name, "--as", "agency", *words, key="agency.pem")


def refusal(ran: Ran) -> dict[str, Any]:
    """Return the error of the call, or of its one file."""
    assert problems(ran.json) == []
    error: dict[str, Any] = ran.json["error"] if "error" in ran.json else ran.json["files"][0]["error"]
    return error


def signers(node: Edoc, name: str, *words: str) -> list[dict[str, Any]]:
    ran = node("verify", name, "--json", *words)
    assert problems(ran.json) == []
    return [item["signer"] for item in ran.json["files"][0]["signatures"]]


# --- a capacity that is stated ---------------------------------------------------------------------------------------


def test_without_a_table_a_capacity_is_stated_and_said_to_be_unchecked(node: Edoc) -> None:
    ran = signed(node, "x.pdf", "--capacity", "KT.")
    assert ran.code == 0
    assert any("chưa đối chiếu" in text for text in ran.json["files"][0]["warnings"])


def test_a_capacity_in_the_table_signs_and_is_not_remarked_on(node: Edoc) -> None:
    granted(node, *DEPUTY)
    ran = signed(node, "x.pdf", "--capacity", "kt. giám đốc", "--position", "phó giám đốc")
    assert (ran.code, ran.json["files"][0]["warnings"]) == (0, []) or all(
        "quyền" not in text for text in ran.json["files"][0]["warnings"]
    )


@pytest.mark.parametrize(
    ("words", "asked", "why"),
    [
        (DEPUTY, ("--capacity", "TL."), "không có hình thức ký này"),
        (DEPUTY, ("--capacity", "KT.", "--position", "Giám đốc"), "không có chức vụ này"),
        ((*DEPUTY, "--from", TOMORROW.isoformat()), ("--capacity", "KT."), "chưa bắt đầu"),
        ((*DEPUTY, "--from", "2026-01-01", "--to", YESTERDAY.isoformat()), ("--capacity", "KT."), "đã hết"),
        ((*DEPUTY, "--type", "QĐ"), ("--capacity", "KT.", "--type", "Tờ trình"), "ngoài phạm vi"),
    ],
)
def test_a_capacity_that_is_not_in_the_table_is_refused_with_its_reason(
    node: Edoc, words: Sequence[str], asked: Sequence[str], why: str
) -> None:
    granted(node, *words)
    ran = signed(node, "x.pdf", *asked)
    error = refusal(ran)
    assert (ran.code, error["code"]) == (1, "EDOC-DOC-080")
    assert why in error["why"]
    assert "Nguyễn Văn Mẫu" in error["message"]
    assert not (node.folder / "x.signed.pdf").exists()


def test_somebody_whose_certificate_is_nobodys_states_no_capacity_but_may_sign_as_drafter(node: Edoc) -> None:
    granted(node, *DEPUTY)
    error = refusal(signed(node, "x.pdf", "--capacity", "KT.", key="other.pem"))
    assert (error["code"], "không có trong bảng thẩm quyền" in error["why"]) == ("EDOC-DOC-080", True)
    assert signed(node, "x.pdf", key="other.pem").code == 0


def test_a_capacity_is_checked_for_a_key_that_shows_no_certificate_before_its_pin(
    node: Edoc, identities: dict[str, DevIdentity]
) -> None:
    granted(node, *DEPUTY)
    (node.folder / "leader.p12").write_bytes(identities["leader"].pkcs12("mật khẩu".encode()))
    (node.folder / "pin").write_bytes("mật khẩu\n".encode())
    ran = signed(node, "x.pdf", "--capacity", "TL.", "--pin-file", "pin", key="leader.p12")
    assert (ran.code, refusal(ran)["code"]) == (1, "EDOC-DOC-080")


def test_a_limited_scope_asks_for_the_type_of_the_document(node: Edoc) -> None:
    granted(node, *DEPUTY, "--type", "QĐ")
    ran = signed(node, "x.pdf", "--capacity", "KT.")
    assert ran.code == 0
    assert any("--type" in text for text in ran.json["files"][0]["warnings"])
    assert signed(node, "x.pdf", "--capacity", "KT.", "--type", "quyết định", "-o", "y.pdf").code == 0


def test_the_position_of_the_table_is_stated_in_xades_where_none_is_given(node: Edoc) -> None:
    """R37: a certificate names no position; the table does."""
    granted(node, *DEPUTY)
    assert signed(node, "x.xml").code == 0
    data = (node.folder / "x.signed.xml").read_text("utf-8")
    assert "Phó Giám đốc" in data
    assert "KT." in data


def test_somebody_whose_authority_has_ended_is_told_that_the_seal_will_not_follow(node: Edoc) -> None:
    granted(node, *DEPUTY, "--from", "2026-01-01", "--to", YESTERDAY.isoformat())
    ran = signed(node, "x.pdf")
    assert ran.code == 0
    assert any("thẩm quyền đã hết" in text for text in ran.json["files"][0]["warnings"])


def test_the_certificate_of_an_agency_is_no_persons(node: Edoc) -> None:
    ran = node("user", "grant", "mau", "--cert", "agency.crt", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (1, "EDOC-USE-076")
    assert "của một cơ quan" in ran.json["error"]["why"]


# --- the agency signs after the competent person ---------------------------------------------------------------------


def test_the_agency_signs_what_a_person_with_authority_has_signed(node: Edoc) -> None:
    granted(node, *DEPUTY)
    assert signed(node, "x.pdf").code == 0
    assert sealed(node, "-o", "y.pdf").code == 0
    ran = node("verify", "y.pdf", "--json")
    assert ran.json["files"][0]["legal_class"] == "original"
    leader, agency = signers(node, "y.pdf")
    assert (leader["authority"], leader["capacity"], leader["position"]) == ("confirmed", "KT.", "Phó Giám đốc")
    assert "Nguyễn Văn Mẫu, KT. Phó Giám đốc (đúng thẩm quyền)" in node("verify", "y.pdf").out
    page = node("verify", "y.pdf", "--report", "html", "-o", "-").out
    assert "đúng thẩm quyền vào ngày ký" in page
    assert (agency["agency"]["code"], agency["authority"]) == ("H99.01", "unknown")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (None, "không có trong bảng thẩm quyền"),
        ((*DEPUTY, "--from", "2026-01-01", "--to", YESTERDAY.isoformat()), "đã hết"),
        ((*DEPUTY, "--from", TOMORROW.isoformat()), "chưa bắt đầu"),
    ],
)
def test_the_agency_does_not_sign_what_somebody_without_authority_has_signed(
    node: Edoc, words: Sequence[str] | None, why: str
) -> None:
    if words is None:
        assert node("user", "add", "khac", "--role", "leader", "--cert", "other.crt").code == 0
        granted(node, *DEPUTY, name="khac")
        why = "không có trong bảng thẩm quyền"
    else:
        granted(node, *words)
    assert signed(node, "x.pdf").code == 0
    ran = sealed(node, "-o", "y.pdf")
    error = refusal(ran)
    assert (ran.code, error["code"]) == (1, "EDOC-DOC-081")
    assert why in error["why"]
    assert not (node.folder / "y.pdf").exists()


@pytest.mark.parametrize(("name", "format_"), [("x.xml", "asic"), ("x.xml", "cades"), ("x.pdf", "cades")])
def test_the_rule_holds_for_every_format(node: Edoc, name: str, format_: str) -> None:
    granted(node, *DEPUTY)
    output = "y" + name[1:]
    assert signed(node, name, "-o", output, key="other.pem").code == 0
    ran = sealed(node, "--format", format_, name=output)
    assert (ran.code, refusal(ran)["code"]) == (1, "EDOC-DOC-081")


def test_the_rule_holds_for_a_key_that_is_elsewhere(node: Edoc) -> None:
    granted(node, *DEPUTY)
    assert signed(node, "x.pdf", key="other.pem").code == 0
    ran = sealed(node, "--prepare", "-o", "p.bin")
    assert (ran.code, ran.json["error"]["code"]) == (1, "EDOC-DOC-081")
    assert not (node.folder / "p.bin").exists()


def test_a_type_outside_the_scope_of_who_signed_is_not_sealed(node: Edoc) -> None:
    granted(node, *DEPUTY, "--type", "QĐ")
    assert signed(node, "x.pdf").code == 0
    ran = sealed(node, "--type", "TTr", "-o", "y.pdf")
    assert (refusal(ran)["code"], "ngoài phạm vi" in refusal(ran)["why"]) == ("EDOC-DOC-081", True)
    ran = sealed(node, "-o", "y.pdf")
    assert (refusal(ran)["code"], "thêm --type" in refusal(ran)["why"]) == ("EDOC-DOC-081", True)
    assert sealed(node, "--type", "QĐ", "-o", "y.pdf").code == 0


def test_a_field_of_work_outside_the_scope_of_who_signed_is_not_sealed(node: Edoc) -> None:
    end = f"{TODAY.year + 1}-12-31"
    tuq = ("--position", "Chánh Văn phòng", "--capacity", "TUQ.", "--area", "Đất đai", "--to", end, "--basis", "GUQ 3")
    granted(node, *tuq)
    assert signed(node, "x.pdf", "--capacity", "TUQ.", "--area", "đất đai").code == 0
    for words, why in (((), "thêm --area"), (("--area", "Y tế"), "lĩnh vực này nằm ngoài")):
        ran = sealed(node, *words, "-o", "y.pdf")
        assert (refusal(ran)["code"], why in refusal(ran)["why"]) == ("EDOC-DOC-081", True)
    assert sealed(node, "--area", "Đất đai", "-o", "y.pdf").code == 0


def test_a_separate_appendix_goes_by_the_authority_for_its_main_document(node: Edoc) -> None:
    granted(node, *DEPUTY)
    (node.folder / "phu-luc.pdf").write_bytes(simple())
    assert signed(node, "x.pdf", "-o", "chinh.pdf", key="other.pem").code == 0
    words = ("--attachment", "--of", "chinh.pdf", "--text", "Số: 120/SMA-VP")
    ran = sealed(node, *words, name="phu-luc.pdf")
    assert (ran.code, refusal(ran)["code"]) == (1, "EDOC-DOC-081")
    assert signed(node, "x.pdf", "-o", "dung.pdf").code == 0
    assert sealed(node, *words[:2], "dung.pdf", *words[3:], name="phu-luc.pdf").code == 0


def test_every_separate_file_is_signed_and_an_appendix_in_the_same_file_is_not(node: Edoc) -> None:
    """R36: one signature for each file of the call; the main document by its own rule, the appendices by its."""
    granted(node, *DEPUTY)
    assert signed(node, "x.pdf", "-o", "chinh.pdf").code == 0
    for name in ("pl-1.pdf", "pl-2.pdf"):
        (node.folder / name).write_bytes(simple())
    line = ("sign", "chinh.pdf", "pl-1.pdf", "pl-2.pdf", "--as", "agency", "--attachment", "--of", "chinh.pdf")
    ran = node(*line, "--text", "Số: 120/SMA-VP", "--key", "agency.pem", "--level", "b", "--json")
    assert [(one["status"], one["visible"]) for one in ran.json["files"]] == [
        ("signed", "none"),  # a seal, where a picture of one is set
        ("signed", "t1"),
        ("signed", "t1"),
    ]


# --- the clerk and the agency's key ----------------------------------------------------------------------------------


def test_nobody_but_the_clerks_it_was_given_to_uses_the_agency_key(node: Edoc) -> None:
    assert node("user", "add", "vanthu", "--role", "clerk").code == 0
    granted(node, "--agency-key", "all", "--basis", "Giấy giao nhận 5", name="vanthu")
    assert signed(node, "x.pdf").code == 0
    ran = sealed(node, "-o", "y.pdf")
    error = refusal(ran)
    assert (ran.code, error["code"]) == (1, "EDOC-DOC-082")
    assert "chưa được giao khóa" in error["why"]
    assert ME in error["message"]


def test_the_environment_does_not_make_somebody_else_the_clerk(node: Edoc) -> None:
    assert node("user", "add", "vanthu", "--role", "clerk").code == 0
    granted(node, "--agency-key", "all", "--basis", "Giấy giao nhận 5", name="vanthu")
    assert signed(node, "x.pdf").code == 0
    line = ("sign", "x.signed.pdf", "--as", "agency", "--key", "agency.pem", "--level", "b", "--json")
    ran = node(*line, env={"LOGNAME": "vanthu", "USER": "vanthu"})
    assert (ran.code, refusal(ran)["code"]) == (1, "EDOC-DOC-082")


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("--from", "2026-01-01"), 0, ""),
        (("--from", "2026-01-01", "--to", YESTERDAY.isoformat()), 1, "đã hết"),
        (("--from", TOMORROW.isoformat()), 1, "chưa bắt đầu"),
    ],
)
def test_a_clerk_uses_the_agency_key_in_the_period_of_the_hand_over(
    node: Edoc, words: Sequence[str], code: int, why: str
) -> None:
    assert node("user", "add", ME, "--role", "clerk").code == 0
    granted(node, "--agency-key", "all", "--basis", "Giấy giao nhận 5", *words, name=ME)
    assert signed(node, "x.pdf").code == 0
    ran = sealed(node, "-o", "y.pdf")
    assert ran.code == code
    assert code == 0 or why in refusal(ran)["why"]


def test_a_right_to_one_key_is_none_to_another(node: Edoc, world: DevPki) -> None:
    old = world.issue(Role.AGENCY, Subject("Sở Mẫu A", organization="Sở Mẫu A", tax_number="0100000001"))
    (node.folder / "old.pem").write_bytes(old.pem)
    assert node("key", "import", "old.pem", "--name", "cu", "--role", "agency").code == 0
    assert node("user", "add", ME, "--role", "clerk").code == 0
    granted(node, "--agency-key", "cu", "--basis", "Giấy giao nhận 5", name=ME)
    assert signed(node, "x.pdf").code == 0
    error = refusal(sealed(node, "-o", "y.pdf"))
    assert (error["code"], "khóa khác" in error["why"]) == ("EDOC-DOC-082", True)
    assert signed(node, "x.signed.pdf", "--as", "agency", "-o", "z.pdf", key="cu").code == 0


# --- verify ----------------------------------------------------------------------------------------------------------


def test_verify_says_nothing_of_authority_without_a_table(node: Edoc) -> None:
    assert signed(node, "x.pdf").code == 0
    assert [one["authority"] for one in signers(node, "x.signed.pdf")] == ["unknown"]


def test_a_signature_without_authority_is_missing_and_makes_no_original(node: Edoc) -> None:
    assert signed(node, "x.pdf", key="other.pem").code == 0
    assert sealed(node, "-o", "y.pdf").code == 0  # no table yet: any valid signature of a person stands
    assert node("verify", "y.pdf", "--json").json["files"][0]["legal_class"] == "original"
    granted(node, *DEPUTY)
    ran = node("verify", "y.pdf", "--json")
    (found,) = ran.json["files"]
    assert [one["signer"]["authority"] for one in found["signatures"]] == ["missing", "unknown"]
    assert (found["legal_class"], found["verdict"]) == ("information-only", "valid")
    assert "Lê Văn Mẫu (không có thẩm quyền)" in node("verify", "y.pdf").out
    assert "MISSING_PERSON_SIGNATURE" in [one["code"] for one in found["warnings"]]


def test_authority_is_judged_on_the_day_of_signing(node: Edoc) -> None:
    """What was in force when the leader signed still counts after its end, as far as the day is proved."""
    granted(node, *DEPUTY, "--to", TODAY.isoformat())
    assert signed(node, "x.pdf").code == 0
    assert [one["authority"] for one in signers(node, "x.signed.pdf")] == ["confirmed"]
    later = (TODAY + timedelta(40)).isoformat()
    assert [one["authority"] for one in signers(node, "x.signed.pdf", "--at", later)] == ["unknown"]


def test_a_proved_day_of_signing_confirms_for_ever(edoc: Edoc, node: Edoc, services: tuple[str, DevPki]) -> None:
    url, pki = services
    leader = pki.issue(Role.PERSON, Subject("Trần Thị Mẫu", organization="Sở Mẫu A"))
    (node.folder / "t.pem").write_bytes(leader.pem)
    (node.folder / "t.crt").write_bytes(pem(leader.certificate))
    (node.folder / "t.root.pem").write_bytes(pem(pki.root.certificate))
    assert node("user", "add", "tran", "--role", "leader", "--cert", "t.crt").code == 0
    granted(node, *DEPUTY, "--to", TODAY.isoformat(), name="tran")
    line = (
        "sign",
        "x.pdf",
        "--key",
        "t.pem",
        "--trust",
        "t.root.pem",
        "--tsa",
        f"{url}/tsa",
        "--level",
        "lta",
        "--json",
    )
    assert node(*line, env={"EDOC_DEMO": "true"}).code == 0
    later = (TODAY + timedelta(40)).isoformat()
    found = signers(node, "x.signed.pdf", "--at", later, "--trust", "t.root.pem")[0]
    assert found["authority"] == "confirmed"
