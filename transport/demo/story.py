"""The demonstration: two agencies exchange a signed and sealed letter, and an auditor proves it (console.md 9).

Each step does one thing with the real commands and checks that it held; the first that does not ends the story.
Nothing is feigned: what is not built yet is left out. The folder stays, with every piece of evidence in it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, Subject, pem
from transport.demo.hostile import late_letter, put_changed_copy
from transport.demo.letter import LETTER, sample
from transport.demo.offices import Office, Result, StepFailed, edoc, free_ports, until
from transport.demo.pkiserver import PkiServer

MARK = ".edoc-demo"
"""File that marks a folder as the demonstration's own: no other folder is ever touched."""

KEYS = (("exchange", "trao-doi"), ("request", "yeu-cau"), ("agency", "co-quan"), ("person", "lanh-dao"))
"""Roles of the keys an office holds here, and the names they get."""

VIETNAM = timezone(timedelta(hours=7))
AUDITED = "container,seal,content,envelope,receipts,leaf,inclusion,checkpoint,log-key,consistency,chain,peer"
"""Steps of the audit that hold without time stamps and witnesses of the log (ledger.md 10.2)."""


@dataclass
class Stage:
    """What the steps hand on to each other."""

    folder: Path
    clock: Callable[[], datetime]
    server: PkiServer
    pki: DevPki
    a: Office
    b: Office
    people: dict[str, DevIdentity] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    verdicts: list[tuple[str, str, str]] = field(default_factory=list)

    def path(self, name: str) -> Path:
        """Return a file of the folder."""
        return self.folder / name

    def need(self, name: str, question: str, *, holds: bool) -> None:
        """Fail the step if something does not hold."""
        if not holds:
            raise StepFailed(f"{name}: {question}")


Step = Callable[[Stage], str]


@dataclass(frozen=True, slots=True)
class Told:
    """A step that was done: number, sentence, seconds."""

    n: int
    of: int
    text: str
    ok: bool
    seconds: float


class FolderTaken(Exception):
    """The folder exists and is not the demonstration's."""


def prepare(folder: Path) -> None:
    """Make the folder, or empty it if an earlier demonstration made it.

    Raises:
        FolderTaken: it exists and was not made by a demonstration.
    """
    if folder.exists():
        if not (folder / MARK).is_file():
            raise FolderTaken(str(folder))
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARK).write_text("edoc demo\n", encoding="utf-8")


def tell(folder: Path, *, clock: Callable[[], datetime], seconds: Callable[[], float]) -> Iterator[Told]:
    """Tell the story step by step; the nodes and the authority are stopped at the end, whatever happens.

    Raises:
        FolderTaken: before anything is done.
    """
    prepare(folder)
    server = PkiServer(clock=clock)
    ports = free_ports(2)
    offices = (
        Office("H99.01", "Sở Mẫu A", folder / "a", ports[0]),
        Office("H99.02", "Sở Mẫu B", folder / "b", ports[1]),
    )
    with server:
        stage = Stage(folder, clock, server, _authority(server, clock), *offices)
        try:
            yield from _steps(stage, seconds)
        finally:
            for office in offices:
                office.stop()


def _steps(stage: Stage, seconds: Callable[[], float]) -> Iterator[Told]:
    done: list[Told] = []
    for number, step in enumerate(STEPS, start=1):
        begun = seconds()
        try:
            text, ok = step(stage), True
        except StepFailed as failure:
            text, ok = str(failure), False
        told = Told(number, len(STEPS), text, ok, seconds() - begun)
        done.append(told)
        yield told
        if not ok:
            break
    summary = {
        "steps": [{"n": one.n, "text": one.text, "ok": one.ok, "seconds": round(one.seconds, 3)} for one in done],
        "facts": stage.facts,
        "verdicts": [{"file": name, "verdict": verdict, "why": why} for name, verdict, why in stage.verdicts],
    }
    stage.path("summary.json").write_text(json.dumps(summary, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _authority(server: PkiServer, clock: Callable[[], datetime]) -> DevPki:
    pki = DevPki.create(at=clock().replace(microsecond=0) - timedelta(days=1), base_url=server.url)
    server.use(pki)
    return pki


# --- the steps -------------------------------------------------------------------------------------------------------


def make_certificates(stage: Stage) -> str:
    """Certificates for two agencies: leader, agency, exchange and request keys."""
    trust = stage.path("trust")
    trust.mkdir()
    (trust / "root.pem").write_bytes(pem(stage.pki.root.certificate))
    (stage.folder / "keys").mkdir(mode=0o700)
    for office, tag in ((stage.a, "a"), (stage.b, "b")):
        subject = Subject(office.name, organization=office.name, tax_number=f"010000000{(tag == 'b' and 2) or 1}")
        leader = Subject("Nguyễn Văn Mẫu", organization=office.name, title="Phó Giám đốc")
        for role, who in (
            (Role.PERSON, leader),
            (Role.AGENCY, subject),
            (Role.EXCHANGE, subject),
            (Role.REQUEST, subject),
        ):
            identity = stage.pki.issue(role, who)
            stage.people[f"{tag}-{role.value}"] = identity
            _private(stage.folder / "keys" / f"{tag}-{role.value}.pem", identity.pem)
            (trust / f"{tag}-{role.value}.crt").write_bytes(pem(identity.certificate))
    return f"Lập chứng thư THỬ NGHIỆM, máy chủ dấu thời gian, OCSP, CRL: {trust}"


def _private(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)


def make_offices(stage: Stage) -> str:
    """Two nodes with own folders, keys, trust, ledgers and partner entries; the doctor finds nothing."""
    with ThreadPoolExecutor(2) as pool:  # two offices, each at its own pace
        list(pool.map(lambda pair: _make_office(stage, *pair), ((stage.a, "a"), (stage.b, "b"))))
    return f"Tạo hai cơ quan {stage.a.code}, {stage.b.code}: {stage.a.home}, {stage.b.home}; khám máy không có lỗi"


def _make_office(stage: Stage, office: Office, tag: str) -> None:
    edoc("init", "--agency", office.code, "--name", office.name, home=office.home)
    settings = office.home / "edoc.toml"
    more = f'[tsa]\nurl = "{stage.server.tsa_url}"\n[limits]\ndisk_reserve_bytes = 0\n'
    settings.write_text(f"demo = true\n{settings.read_text('utf-8')}\n{more}", "utf-8")
    for role, name in KEYS:
        key = str(stage.folder / "keys" / f"{tag}-{role}.pem")
        office.run("key", "import", key, "--name", name, "--role", role)
    digest = hashlib.sha256(stage.pki.root.certificate).hexdigest()
    root = str(stage.path("trust") / "root.pem")
    office.run("trust", "add", root, "--for", "signers,tsa", "--basis", "thử nghiệm", "--sha256", digest)
    for other, its in ((stage.a, "a"), (stage.b, "b")):
        certificates = [
            f"{use}={stage.path('trust') / f'{its}-{use}.crt'}" for use in ("exchange", "request", "agency")
        ]
        options = [word for one in certificates for word in ("--cert", one)]
        office.run("agency", "add", other.code, "--name", other.name, "--url", other.url, *options, "--yes")
    office.run("doctor", "--quick")


def start_nodes(stage: Stage) -> str:
    """Both nodes run as processes of their own."""
    stage.a.start()
    stage.b.start()
    return f"Chạy hai nút: {stage.a.url}, {stage.b.url}"


def leader_signs(stage: Stage) -> str:
    """The leader signs the letter, visibly, with a time stamp."""
    _copy_samples(stage)
    _sign(
        stage,
        "letter.pdf",
        "letter.leader.pdf",
        "--key",
        "lanh-dao",
        "--visible",
        "signature",
        "--image",
        str(stage.path("signature.png")),
        "--box",
        _box(LETTER.signature),
    )
    return f"Lãnh đạo ký số có dấu thời gian: {stage.path('letter.leader.pdf')}"


def _copy_samples(stage: Stage) -> None:
    for name in ("letter.pdf", "appendix.pdf", "signature.png", "seal.png"):
        stage.path(name).write_bytes(sample(name))


def _box(box: tuple[float, float, float, float]) -> str:
    return ",".join(f"{value:g}" for value in box)


def _sign(stage: Stage, source: str, target: str, *options: str, expect: tuple[int, ...] = (0,)) -> Result:
    return stage.a.run("sign", str(stage.path(source)), *options, "-o", str(stage.path(target)), expect=expect)


def agency_signs(stage: Stage) -> str:
    """The clerk adds number and date, then the seal; the leader's signature stays intact."""
    today = stage.clock().astimezone(VIETNAM).date()
    date_text = LETTER.date_text(today.day, today.month, today.year)
    agency = ("--as", "agency", "--key", "co-quan")
    number = ("--visible", "number", "--text", LETTER.number_text, "--box", _box(LETTER.number))
    date = ("--visible", "date", "--text", date_text, "--box", _box(LETTER.date))
    seal = ("--visible", "seal", "--image", str(stage.path("seal.png")))
    _sign(stage, "letter.leader.pdf", "letter.number.pdf", *agency, *number)
    _sign(stage, "letter.number.pdf", "letter.date.pdf", *agency, *date)
    _sign(stage, "letter.date.pdf", "letter.signed.pdf", *agency, *seal)
    stage.facts["date"] = today.isoformat()
    return f"Văn thư điền số {LETTER.number_text}, ngày, đóng dấu cơ quan: {stage.path('letter.signed.pdf')}"


def verify_letter(stage: Stage) -> str:
    """The finished letter is valid and an original; every signature is intact."""
    found = stage.a.run("verify", str(stage.path("letter.signed.pdf")), "--revocation", *_crls(stage))
    file = _first_file(found)
    signatures = file["signatures"]
    assert isinstance(signatures, list)
    intact = all(one["integrity"] == "intact" for one in signatures)
    stage.need("verify", "letter.signed.pdf must be valid and original", holds=file["verdict"] == "valid")
    stage.need("verify", "every signature intact", holds=intact and len(signatures) == 4)
    stage.need("verify", "legal class original", holds=file["legal_class"] == "original")
    stage.verdicts.append(("letter.signed.pdf", "valid", "original"))
    return f"Kiểm tra văn bản: hợp lệ, bản gốc điện tử, {len(signatures)} chữ ký nguyên vẹn"


def _first_file(found: Result) -> Mapping[str, object]:
    files = found.document.get("files")
    if not isinstance(files, list) or not files:
        raise StepFailed(f"no file in the answer: {found.output[:500]}")
    file: Mapping[str, object] = files[0]
    return file


def pack_letter(stage: Stage) -> str:
    """The letter and its appendix become one edXML file."""
    _sign_appendix(stage)
    stage.a.run(
        "pack",
        str(stage.path("letter.signed.pdf")),
        str(stage.path("phu-luc.signed.pdf")),
        *_metadata(stage, LETTER.number_text, LETTER.subject),
        "-o",
        str(stage.path("letter.edxml")),
    )
    return f"Đóng gói edXML kèm phụ lục: {stage.path('letter.edxml')}"


def _sign_appendix(stage: Stage) -> None:
    agency = ("--as", "agency", "--key", "co-quan", "--visible", "t1", "--attachment")
    of = ("--of", str(stage.path("letter.signed.pdf")))
    text = f"{LETTER.number_text}/{LETTER.notation}"
    _sign(stage, "appendix.pdf", "phu-luc.signed.pdf", *agency, *of, "--text", text)


def _metadata(stage: Stage, number: str, subject: str) -> tuple[str, ...]:
    return (
        "--number",
        number,
        "--notation",
        LETTER.notation,
        "--date",
        stage.facts["date"],
        "--type",
        LETTER.type_name,
        "--subject",
        subject,
        "--signer",
        f"{LETTER.competence} GIÁM ĐỐC;{LETTER.position};{LETTER.signer}",
        "--to",
        stage.b.code,
    )


def send_letter(stage: Stage) -> str:
    """Sent over HTTP; the receipt is back and verified."""
    sent = stage.a.run("send", str(stage.path("letter.edxml")), "--wait", "20", "--yes")
    message_id = str(sent.document["message_id"])
    stage.facts["message_id"] = message_id
    dispatches = sent.document["dispatches"]
    assert isinstance(dispatches, list)
    stage.need("send", "delivered", holds=dispatches[0]["state"] == "delivered")
    return f"Gửi {LETTER.number_text}/{LETTER.notation} từ {stage.a.name} đến {stage.b.name}: đã nhận biên nhận"


def arrival_told(stage: Stage) -> str:
    """B has it once, checked; its arrival status is back at A."""
    ref = _ref(stage)
    until("B checked the letter", lambda: _verification(stage.b, ref) is not None)
    verification = _verification(stage.b, ref)
    assert verification is not None
    stage.need("B", "the letter is valid at B", holds=verification.get("verdict") == "valid")
    until("status 01 came back to A", lambda: _last_status(stage, ref) == "01")
    rows = stage.b.run("inbox").document["items"]
    assert isinstance(rows, list)
    stage.need("B", "one inbox row", holds=len(rows) == 1)
    return f"{stage.b.name}: văn bản hợp lệ, một dòng trong sổ đến; trạng thái 01 đã về {stage.a.name}"


def _ref(stage: Stage) -> str:
    return f"msg:{stage.facts['message_id']}"


def _row(office: Office, ref: str) -> Mapping[str, object]:
    row = office.run("show", ref).document.get("document")
    return row if isinstance(row, dict) else {}


def _verification(office: Office, ref: str) -> Mapping[str, object] | None:
    row = _row(office, ref)
    return row if row.get("verdict") is not None else None


def _last_status(stage: Stage, ref: str) -> str | None:
    found = stage.a.run("status", ref).document.get("recipients")
    if not isinstance(found, list) or not found:
        return None
    code = found[0].get("code")
    return str(code) if code else None


def accept_letter(stage: Stage) -> str:
    """B's clerk accepts; status 03 is back at A."""
    ref = _ref(stage)
    accepted = stage.b.run("accept", ref)
    stage.need("accept", "arrival number 1", holds=accepted.document.get("arrival_number") == 1)
    until("status 03 came back to A", lambda: _last_status(stage, ref) == "03")
    return f"{stage.b.name} tiếp nhận, số đến 1; trạng thái 03 đã về {stage.a.name}"


def compare_receipts(stage: Stage) -> str:
    """One receipt, byte-identical on both sides, with a leaf in both ledgers."""
    ref = _ref(stage)
    for office, name in ((stage.a, "receipt.a.xml"), (stage.b, "receipt.b.xml")):
        office.run("show", ref, "--receipts", "-o", str(stage.path(name)))
    ours, theirs = stage.path("receipt.a.xml").read_bytes(), stage.path("receipt.b.xml").read_bytes()
    stage.need("receipt", "byte-identical on both sides", holds=ours == theirs)
    root = str(stage.path("trust") / "root.pem")
    checked = edoc("verify", str(stage.path("receipt.a.xml")), "--trust", root, "--revocation", *_crls(stage))
    stage.need("receipt", "valid for an auditor", holds=_first_file(checked)["verdict"] == "valid")
    stage.verdicts.append(("receipt.a.xml", "valid", "receipt"))
    return f"Biên nhận hai bên giống nhau từng byte: {stage.path('receipt.a.xml')}"


def _crls(stage: Stage) -> tuple[str, ...]:
    now = stage.clock()
    for name, crl in (("ca.crl", stage.pki.crl(at=now)), ("root.crl", stage.pki.root_crl(at=now))):
        stage.path("trust").joinpath(name).write_bytes(crl)
    return (str(stage.path("trust") / "ca.crl"), "--revocation", str(stage.path("trust") / "root.crl"))


def verify_ledgers(stage: Stage) -> str:
    """Both ledgers are recomputed from their leaves."""
    sizes = []
    for office in (stage.a, stage.b):
        found = office.run("ledger", "verify", "--receipts")
        sizes.append(str(found.document["size"]))
        head = office.run("ledger", "head")
        stage.path(f"checkpoint.{office.home.name}.txt").write_text(str(head.document["checkpoint"]), encoding="utf-8")
    return f"Kiểm tra hai sổ cái: {sizes[0]} và {sizes[1]} mục, không có mục nào sai"


def export_evidence(stage: Stage) -> str:
    """The evidence package is exported with the other side's proofs, and audited offline with nothing but the root."""
    ref, peer = _ref(stage), stage.path("peer.evidence.asice")
    stage.b.run("evidence", ref, "-o", str(peer), expect=(0, 3))
    stage.a.run("evidence", ref, "--peer", str(peer), "-o", str(stage.path("evidence.asice")), expect=(0, 3))
    audited = _audit(stage, "evidence.asice", expect=(0,))
    items = audited.document["items"]
    assert isinstance(items, list)
    stage.need("audit", "proved", holds=items[0]["result"] == "proved")
    stage.verdicts.append(("evidence.asice", "proved", AUDITED))
    return f"Xuất hồ sơ chứng cứ, kiểm toán ngoại tuyến: đã chứng minh: {stage.path('evidence.asice')}"


def _audit(stage: Stage, name: str, *, expect: tuple[int, ...]) -> Result:
    return edoc("audit", str(stage.path(name)), "--trust", str(stage.path("trust")), "--only", AUDITED, expect=expect)


def changed_copies(stage: Stage) -> str:
    """A changed copy is caught everywhere: PDF, message on the wire, evidence file."""
    signed = stage.path("letter.signed.pdf").read_bytes()
    stage.path("tampered.pdf").write_bytes(_flipped(signed, len(signed) // 3))
    broken = stage.a.run("verify", str(stage.path("tampered.pdf")), expect=(1,))
    stage.need("tampered.pdf", "invalid", holds=_first_file(broken)["verdict"] == "invalid")
    stage.verdicts.append(("tampered.pdf", "invalid", _first_reason(broken)))
    refusal = put_changed_copy(stage.a.home, stage.b, clock=stage.clock)
    stage.need("sealed copy", "refused by receipt seal-invalid", holds=refusal == "seal-invalid")
    stage.verdicts.append(("letter.edxml (changed)", "refused", refusal))
    package = stage.path("evidence.asice").read_bytes()
    stage.path("evidence.tampered.asice").write_bytes(_flipped(package, len(package) // 2))
    _audit(stage, "evidence.tampered.asice", expect=(1,))
    stage.verdicts.append(("evidence.tampered.asice", "broken", "container"))
    return "Bản bị sửa một byte: PDF không hợp lệ, gói tin bị từ chối (seal-invalid), hồ sơ chứng cứ sai lệch"


def _flipped(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def _first_reason(found: Result) -> str:
    reasons = _first_file(found).get("reasons")
    return str(reasons[0]["code"]) if isinstance(reasons, list) and reasons else "-"


def revoked_signer(stage: Stage) -> str:
    """A letter signed after its signer's certificate was revoked: the command refuses; forged, it is returned by B."""
    leader = stage.people["a-person"]
    stage.pki.revoke(leader.certificate, at=stage.clock().replace(microsecond=0) - timedelta(seconds=2))
    refused = _sign(stage, "letter.pdf", "letter.late.pdf", "--key", "lanh-dao", "--visible", "none", expect=(1,))
    stage.need("sign", "refused: revoked", holds="EDOC-KEY-013" in refused.output)
    stage.path("letter.late.pdf").write_bytes(late_letter(stage.pki, stage.people, clock=stage.clock))
    pack = _metadata(stage, "121", "V/v văn bản ký bằng chứng thư đã thu hồi")
    late = str(stage.path("letter.late.edxml"))
    stage.a.run("pack", str(stage.path("letter.late.pdf")), *pack, "-o", late, "--allow-information-only")
    sent = stage.a.run("send", late, "--wait", "20", "--yes", "--allow-information-only")
    ref = f"msg:{sent.document['message_id']}"
    until("B checked the late letter", lambda: _verification(stage.b, ref) is not None)
    stage.need("late letter", "invalid at B", holds=_row(stage.b, ref).get("verdict") == "invalid")
    stage.b.run("accept", ref, expect=(1,))
    reason = "certificate-expired-or-revoked"
    stage.b.run("return", ref, "--reason", reason, "--by", "Lê Văn Mẫu", "--yes")
    until("status 02 came back to A", lambda: _last_status(stage, ref) == "02")
    late_pdf, root = str(stage.path("letter.late.pdf")), str(stage.path("trust") / "root.pem")
    checked = edoc("verify", late_pdf, "--trust", root, "--revocation", *_crls(stage), expect=(1,))
    stage.need("late letter", "revoked for an auditor", holds=_first_reason(checked) == "REVOKED")
    stage.verdicts.append(("letter.late.pdf", "invalid", "REVOKED"))
    return "Chứng thư bị thu hồi: lệnh ký từ chối; văn bản ký sau thu hồi đến nơi là không hợp lệ, bị trả lại (02)"


def stop_nodes(stage: Stage) -> str:
    """Both nodes end cleanly, and their ledgers still verify."""
    codes = (stage.a.stop(), stage.b.stop())
    stage.need("serve", f"ends with 0, not {codes}", holds=codes == (0, 0))
    for office in (stage.a, stage.b):
        office.run("ledger", "verify")
    return "Dừng hai nút, sổ cái vẫn nguyên vẹn"


STEPS: tuple[Step, ...] = (
    make_certificates,
    make_offices,
    start_nodes,
    leader_signs,
    agency_signs,
    verify_letter,
    pack_letter,
    send_letter,
    arrival_told,
    accept_letter,
    compare_receipts,
    verify_ledgers,
    export_evidence,
    changed_copies,
    revoked_signer,
    stop_nodes,
)
