"""Many hands on one file, from the draft to the receiver, through the command (signing.md 3.2; R35, R39, R40).

After each step every earlier signature is intact, and what came after it is allowed: by ``edoc verify``, by pdfsig and
by pyHanko's own comparison of revisions.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from asn1crypto import keys, x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import signers
from pyhanko.sign.fields import MDPPerm, SigSeedSubFilter
from pyhanko_certvalidator.registry import SimpleCertificateStore

from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, Subject, pem
from signer.pdf.sign import PdfOptions, sign_pdf
from tests.console.conftest import Edoc
from tests.console.schema import problems
from tests.signer_pdf.files import simple
from tests.signer_pdf.opinions import PASSED, PyHanko, said_by_pdfsig
from transport.demo.letter import LETTER, sample

pytestmark = [pytest.mark.tool("pdfsig")]

DEMO = {"EDOC_DEMO": "true"}
GOOD, UNCHECKED = "Signature is Valid.", "Signature has not yet been verified."

WIDGET = b"<< /Type /Annot /Subtype /Widget /F 4 /P 3 0 R /Rect [%.4f %.4f %.4f %.4f] /T (%s) %s >>"
TEXT = b"/FT /Tx /DA (/Helv 13 Tf 0 g)"
FORM = b"/AcroForm << /Fields %s /DA (/Helv 0 Tf 0 g) /DR << /Font << /Helv 5 0 R >> >> >>"
LOCK = b"/FT /Sig /Lock << /Type /SigFieldLock /Action /Include /Fields [(GhiChu)] >>"


def form(*, seal: bool = False) -> bytes:
    """Return a page with empty fields for number, date and a note, and for the leader, who locks the note.

    The field for the seal lies over the left third of the leader's (R40).
    """
    fields = [
        WIDGET % (60, 700, 120, 724, b"So", TEXT),
        WIDGET % (330, 700, 500, 724, b"Ngay", TEXT),
        WIDGET % (60, 600, 300, 624, b"GhiChu", TEXT),
        WIDGET % (361, 150, 503, 221, b"LanhDao", LOCK),
    ]
    fields += [WIDGET % (306.2861, 134.4764, 408.3333, 236.5236, b"Dau", b"/FT /Sig")] if seal else []
    listed = b"[%s]" % b" ".join(b"%d 0 R" % number for number in range(6, 6 + len(fields)))
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    return simple(catalog=FORM % listed, page=b"/Annots %s" % listed, more=[font, *fields])


@dataclass(frozen=True)
class Office:
    """The desk with everybody's keys as files, and the authority on loopback."""

    edoc: Edoc
    url: str
    pki: DevPki
    drafter: DevIdentity

    @property
    def folder(self) -> Path:
        """Where all files lie."""
        return self.edoc.folder

    def sign(self, name: str, output: str, key: str, *words: str) -> None:
        """Sign a file; the command says that it was done."""
        role = "person" if key in ("drafter", "leader") else "agency"
        line = ("sign", name, "-o", output, "--as", role, "--key", f"{key}.pem", "--trust", "root.pem")
        ran = self.edoc(*line, "--tsa", self.url + "/tsa", "--json", *words, env=DEMO)
        assert problems(ran.json) == []
        assert (ran.code, ran.json["files"][0]["error"]) == (0, None)

    def refused(self, name: str, key: str, *words: str) -> str:
        """Return the code with which signing a file is refused."""
        role = "person" if key in ("drafter", "leader") else "agency"
        line = ("sign", name, "-o", "never.pdf", "--as", role, "--key", f"{key}.pem", "--trust", "root.pem")
        ran = self.edoc(*line, "--tsa", self.url + "/tsa", "--json", *words, env=DEMO)
        assert (ran.code, ran.json["files"][0]["status"]) == (1, "refused")
        assert not (self.folder / "never.pdf").exists()
        return str(ran.json["files"][0]["error"]["code"])

    def checked(self, name: str, count: int, *, stamps: int = 0, words: tuple[str, ...] = ("--online",)) -> dict:  # type: ignore[type-arg]
        """Check a file: all signatures are there, intact and valid, all later changes allowed. Return the entry."""
        ran = self.edoc("verify", name, "--trust", "root.pem", "--json", *words, env=DEMO)
        entry = ran.json["files"][0]
        assert (ran.code, entry["verdict"], entry["reasons"]) == (0, "valid", [])
        signatures = entry["signatures"]
        assert [one["kind"] for one in signatures].count("signature") == count
        assert len(signatures) == count + stamps
        assert {one["integrity"] for one in signatures} == {"intact"}
        assert [one["later_changes"] for one in signatures] == ["allowed"] * (count + stamps - 1) + ["none"]
        return dict(entry)

    def agreed(self, name: str, count: int, *, stamps: int = 0) -> None:
        """Ask the others: pdfsig about every signature, pyHanko about each and about what was done after it."""
        data = (self.folder / name).read_bytes()
        assert said_by_pdfsig(data, self.folder) == [GOOD] * count + [UNCHECKED] * stamps
        opinions = PyHanko(self.pki.root.certificate, datetime.now(UTC)).opinions(data)
        assert len(opinions) == count + stamps
        assert all(one.intact and one.good for one in opinions)
        assert {one.change for one in opinions} <= {"", "NONE", "LTA_UPDATES", "FORM_FILLING"}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, services: tuple[str, DevPki]) -> Office:
    """Keys of drafter, leader, agency A and agency B; the pictures; the forms."""
    url, pki = services
    folder = tmp_path_factory.mktemp("hands")
    people = {
        "drafter": pki.issue(Role.PERSON, Subject("Trần Thị Mẫu", organization="Sở Mẫu A")),
        "leader": pki.issue(
            Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A", title="Phó Giám đốc"), key_type="rsa2048"
        ),
        "agency": pki.issue(Role.AGENCY, Subject("Sở Mẫu A", organization="Sở Mẫu A", tax_number="0100000001")),
        "receiver": pki.issue(Role.AGENCY, Subject("Sở Mẫu B", organization="Sở Mẫu B", tax_number="0100000002")),
    }
    for name, one in people.items():
        (folder / f"{name}.pem").write_bytes(one.pem)
    (folder / "root.pem").write_bytes(pem(pki.root.certificate))
    for name in ("signature.png", "seal.png", "letter.pdf"):
        (folder / name).write_bytes(sample(name))
    (folder / "form.pdf").write_bytes(form())
    return Office(Edoc(folder, inside=True), url, pki, people["drafter"])


ARRIVED = "Sở Mẫu B; 45; 21/11/2026; Văn phòng; HS-07"
STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("drafter", ("--visible", "none")),
    ("leader", ("--visible", "signature", "--image", "signature.png", "--field", "LanhDao")),
    ("agency", ("--visible", "number", "--text", "120", "--field", "So")),
    ("agency", ("--visible", "date", "--text", "20/11/2026", "--field", "Ngay")),
    ("agency", ("--visible", "seal", "--image", "seal.png")),
    ("receiver", ("--visible", "received", "--text", ARRIVED, "--box", "20,200,35,50")),
)


@pytest.fixture(scope="module")
def story(office: Office) -> list[str]:
    """The file after each step, named ``0.pdf`` to ``6.pdf``."""
    (office.folder / "0.pdf").write_bytes(form())
    for number, (key, words) in enumerate(STEPS):
        office.sign(f"{number}.pdf", f"{number + 1}.pdf", key, *words)
    return [f"{number}.pdf" for number in range(len(STEPS) + 1)]


@pytest.mark.parametrize("step", range(1, len(STEPS) + 1))
def test_after_each_hand_all_earlier_ones_are_intact(office: Office, story: list[str], step: int) -> None:
    before, after = ((office.folder / story[at]).read_bytes() for at in (step - 1, step))
    assert after.startswith(before)
    office.checked(story[step], step)
    office.agreed(story[step], step)


def test_number_and_date_stand_in_the_fields_that_waited_for_them(office: Office, story: list[str]) -> None:
    """The leader signed before; the report says that two blanks were filled, and by which step."""
    entry = office.checked(story[-1], len(STEPS))
    kinds = [change["kind"] for change in entry["signatures"][1]["changes"]]
    assert kinds.count("form-fill") == 2
    assert set(kinds) <= {"signature", "form-fill", "structure", "metadata", "rewrite"}


def test_the_seal_stands_over_the_left_third_of_the_leaders_signature(office: Office, story: list[str]) -> None:
    entry = office.checked(story[-1], len(STEPS))
    boxes = [one["appearance"] and one["appearance"]["box_mm"] for one in entry["signatures"]]
    (x, y, w, h), (sx, sy, sw, sh) = boxes[1], boxes[4]
    assert (sx + sw, sy + sh / 2) == pytest.approx((x + w / 3, y + h / 2), abs=0.1)


def test_a_field_that_is_filled_is_not_filled_again(office: Office, story: list[str]) -> None:
    words = ("--visible", "number", "--text", "121", "--field", "So")
    assert office.refused(story[3], "agency", *words) == "EDOC-PDF-053"


def test_a_flipped_byte_breaks_every_hand(office: Office, story: list[str]) -> None:
    data = (office.folder / story[-1]).read_bytes()
    at = data.index(b"50 700 m")
    (office.folder / "spoiled.pdf").write_bytes(data[:at] + b"6" + data[at + 1 :])
    ran = office.edoc("verify", "spoiled.pdf", "--trust", "root.pem", "--json", "--online", env=DEMO)
    assert (ran.code, {one["integrity"] for one in ran.json["files"][0]["signatures"]}) == (1, {"broken"})
    assert office.edoc("extend", "spoiled.pdf", "--trust", "root.pem", "--json", env=DEMO).code == 1
    assert not (office.folder / "spoiled.extended.pdf").exists()


@pytest.fixture(scope="module")
def many(office: Office, story: list[str]) -> dict[int, str]:
    """The file after each of twenty-five hands, two of three of them visible."""
    names = dict(enumerate(story))
    for number in range(len(story), 26):
        box = f"{20 + 12 * (number % 12)},{120 + 10 * (number // 12)},10,8"
        words = ("--visible", "number", "--text", str(number), "--box", box) if number % 3 else ("--visible", "none")
        names[number] = f"{number}.pdf"
        office.sign(names[number - 1], names[number], "agency", *words)
    return names


@pytest.mark.parametrize("count", [12, 25])
def test_many_more_hands_may_follow(office: Office, many: dict[int, str], count: int) -> None:
    """At least ten are promised; twelve and twenty-five hold."""
    office.checked(many[count], count)
    office.agreed(many[count], count)


@pytest.mark.process
def test_the_same_by_processes_of_their_own(office: Office) -> None:
    """Leader and seal on the sample letter, placed by coordinates and over the leader's left third."""
    apart = replace(office, edoc=Edoc(office.folder))
    box = ",".join(map(str, LETTER.signature))
    apart.sign("letter.pdf", "a.pdf", "leader", "--visible", "signature", "--image", "signature.png", "--box", box)
    apart.sign("a.pdf", "b.pdf", "agency", "--visible", "seal", "--image", "seal.png")
    apart.checked("b.pdf", 2)
    apart.agreed("b.pdf", 2)


# --- permissions -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certified(office: Office) -> str:
    """The form, certified by the drafter so that filling and signing are permitted (P=2)."""
    options = PdfOptions(datetime.now(UTC), "b", certify=True)
    signed = sign_pdf(form(seal=True), credential=office.drafter.credential, options=options)
    (office.folder / "certified.pdf").write_bytes(signed.data)
    return "certified.pdf"


def test_hands_follow_a_certification_and_a_lock(office: Office, certified: str) -> None:
    """P=2 permits number, date and seal in their fields; the leader's field locks the note, and nothing else."""
    name = certified
    for number, (key, words) in enumerate(STEPS[1:5]):
        place = ("--field", "Dau") if "seal" in words else ()
        office.sign(name, f"certified-{number}.pdf", key, *words, *place)
        name = f"certified-{number}.pdf"
        office.checked(name, number + 2)
        office.agreed(name, number + 2)
    words = ("--visible", "number", "--text", "x", "--field", "GhiChu")
    assert office.refused(name, "agency", *words) == "EDOC-PDF-041"


def test_a_file_certified_against_every_change_takes_no_further_hand(office: Office) -> None:
    """P=1: neither a signature nor a filling, by nobody; the message says so."""
    (office.folder / "closed.pdf").write_bytes(closed_by_pyhanko(form(), office.drafter))
    office.checked("closed.pdf", 1)
    for key, words in (("leader", ("--visible", "none")), ("agency", STEPS[2][1])):
        assert office.refused("closed.pdf", key, *words) == "EDOC-PDF-009"


@pytest.mark.parametrize("closed", [True, False])
def test_what_permits_no_further_change_is_kept_for_long_all_the_same(office: Office, closed: bool) -> None:
    """Validation data and time stamps are allowed always, under P=1 and where every field is locked."""
    if closed:
        data = closed_by_pyhanko(form(), office.drafter)
    else:
        options = PdfOptions(datetime.now(UTC), "b", lock=("*",))
        data = sign_pdf(form(), credential=office.drafter.credential, options=options).data
    (office.folder / "shut.pdf").write_bytes(data)
    line = ("extend", "shut.pdf", "-o", "shut-lta.pdf", "--force", "--trust", "root.pem", "--tsa", office.url + "/tsa")
    ran = office.edoc(*line, "--json", env=DEMO)
    assert (ran.code, ran.json["files"][0]["to"], ran.json["files"][0]["error"]) == (0, "PAdES-B-LTA", None)
    office.checked("shut-lta.pdf", 1, stamps=2, words=())
    office.agreed("shut-lta.pdf", 1, stamps=2)


def closed_by_pyhanko(data: bytes, who: DevIdentity) -> bytes:
    """Return a file certified by another program so that nothing may follow."""
    writer = IncrementalPdfFileWriter(BytesIO(data))
    meta = signers.PdfSignatureMetadata(
        field_name="ChungNhan",
        md_algorithm="sha256",
        subfilter=SigSeedSubFilter.PADES,
        certify=True,
        docmdp_permissions=MDPPerm.NO_CHANGES,
    )
    held = SimpleCertificateStore()  # type: ignore[no-untyped-call]
    held.register_multiple([x509.Certificate.load(der) for der in who.credential.chain])
    plain = who.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    signer = signers.SimpleSigner(
        signing_cert=x509.Certificate.load(who.certificate),
        signing_key=keys.PrivateKeyInfo.load(plain),
        cert_registry=held,
    )
    return bytes(signers.sign_pdf(writer, meta, signer=signer).getbuffer())


# --- for long keeping ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kept(office: Office, story: list[str]) -> tuple[str, str]:
    """The file with all hands, lifted to LTA, and renewed."""
    names = ("kept.pdf", "renewed.pdf")
    for before, after in zip((story[-1], names[0]), names, strict=True):
        line = ("extend", before, "-o", after, "--trust", "root.pem", "--tsa", office.url + "/tsa", "--json")
        ran = office.edoc(*line, env=DEMO)
        assert problems(ran.json) == []
        assert (ran.code, ran.json["files"][0]["to"], ran.json["files"][0]["error"]) == (0, "PAdES-B-LTA", None)
        assert (office.folder / after).read_bytes().startswith((office.folder / before).read_bytes())
    return names


def test_all_hands_are_kept_for_long_and_renewed(office: Office, kept: tuple[str, str], tmp_path: Path) -> None:
    for stamps, name in enumerate(kept, 1):
        entry = office.checked(name, len(STEPS), stamps=stamps, words=())
        levels = {one["level"] for one in entry["signatures"] if one["kind"] == "signature"}
        assert levels == {"PAdES-B-LTA"}
        office.agreed(name, len(STEPS), stamps=stamps)


def test_all_hands_are_valid_years_later(office: Office, kept: tuple[str, str]) -> None:
    """Every certificate of a signer is over; the lists of that day are about the authority's stamps alone."""
    later = datetime.now(UTC) + timedelta(days=1500)
    for number, made in enumerate((office.pki.crl(at=later), office.pki.root_crl(at=later))):
        (office.folder / f"{number}.crl").write_bytes(made)
    words = ("--at", later.isoformat(), "--revocation", "0.crl", "--revocation", "1.crl")
    for stamps, name in enumerate(kept, 1):
        office.checked(name, len(STEPS), stamps=stamps, words=words)
    lists = tuple((office.folder / f"{number}.crl").read_bytes() for number in range(2))
    data = (office.folder / kept[1]).read_bytes()
    assert PyHanko(office.pki.root.certificate, later, lists).long_term(data) is PASSED
