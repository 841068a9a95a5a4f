"""Make everything in ``samples/``: ``python samples/make.py [--check]``.

Without an option all files are made anew, with the keys in ``samples/pki`` (made if missing). A signed file comes out
with other bytes each time, because time stamps and packages hold random numbers. So ``--check`` writes nothing and
asks of each file what can be asked: that it is there, that it comes out again byte for byte where nothing random is in
it, that it verifies, and that it holds or is about the files before it. The exit code is 1 if one question fails.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):
    sys.path.insert(0, str(ROOT))

from edoc import seal as seals  # noqa: E402  # found only once the path above is set
from edoc.documents import Attachment, Document, SignerInfo  # noqa: E402
from edoc.envelopes import Business, Envelope, Party, StaffInfo  # noqa: E402
from edoc.errors import EdocError  # noqa: E402
from edoc.legal import ORIGINAL, agency_precondition, legal_class  # noqa: E402
from edoc.seal import packed  # noqa: E402
from samples import authority, letter, make_letter, offices  # noqa: E402
from samples.authority import LISTED, ORGANS, Held  # noqa: E402
from signer.algorithms import PolicyName  # noqa: E402
from signer.devpki import DevPki, DevTimestamper, pem  # noqa: E402
from signer.errors import SignerError  # noqa: E402
from signer.inspect import inspect_file  # noqa: E402
from signer.pdf.sign import PdfOptions, Visible, sign_pdf  # noqa: E402
from signer.report import Report, Verdict  # noqa: E402
from signer.trust import Context  # noqa: E402
from transport import evidence, receipts  # noqa: E402
from transport.demo.letter import LETTER, sample  # noqa: E402
from transport.dispatch import Key  # noqa: E402
from transport.errors import TransportError  # noqa: E402
from transport.evidence.result import Result  # noqa: E402

HERE = Path(__file__).resolve().parent
DAY = date(2026, 11, 20)
SIGNED, NUMBERED, PACKED, SENT, JUDGED = (
    datetime(2026, 11, 20, hour, minute, tzinfo=UTC) for hour, minute in ((2, 5), (2, 10), (2, 25), (2, 30), (5, 0))
)
"""One morning, in UTC; at 12:00 in Vietnam everything is judged, as the commands in the README do."""

STEPS = (
    "container", "seal", "content", "envelope", "receipts", "leaf", "inclusion",
    "checkpoint", "log-key", "consistency", "chain", "peer",
)  # fmt: skip
"""Steps of the audit that can be proved without witnesses and time tokens of the log."""

SMALL = 2_000_000
"""All samples together stay below this many bytes."""

SIGNATURES = 4
"""On the letter: leader, number, date, seal."""

Keys = Mapping[str, Mapping[str, Held]]


# --- making ----------------------------------------------------------------------------------------------------------


def make(pki: DevPki, keys: Keys) -> dict[str, bytes]:
    """Return all samples by their path below ``samples``."""
    files = fixed(pki)
    files["letter.signed.pdf"] = signed_letter(pki, keys)
    files["appendix.signed.pdf"] = signed_appendix(pki, keys, files["letter.signed.pdf"])
    files["letter.edxml"] = edxml(files["letter.signed.pdf"], files["appendix.signed.pdf"])
    with tempfile.TemporaryDirectory() as folder:
        setting = offices.Setting(Path(folder), pki, keys, offices.Clock(SENT))
        done = offices.exchange(setting, files["letter.edxml"])
    files |= {"letter.sealed.edxml": done.sealed, "receipt.xml": done.receipt, "evidence.asice": done.evidence}
    return files


def fixed(pki: DevPki) -> dict[str, bytes]:
    """Return the samples with nothing random in them: made again they are the same, byte for byte."""
    return {
        "letter.pdf": letter.letter(),
        "appendix.pdf": letter.appendix(),
        "trust/root.crt": pem(pki.root.certificate),
        "trust/ca.crl": pki.crl(at=LISTED),
        "trust/root.crl": pki.root_crl(at=LISTED),
    }


def context(pki: DevPki) -> Context:
    """Return the judgement of the samples: the root alone is trusted, at noon of that day."""
    return Context(trust=pki.trust(at=LISTED), at=JUDGED, policy=PolicyName.INTEROP)


def signed_letter(pki: DevPki, keys: Keys) -> bytes:
    """Return the letter as it leaves the office: leader's signature, number, date and seal, each with a time stamp."""
    mine = keys[offices.SENDER]
    stamps = DevTimestamper(pki, lambda: SIGNED)
    drawn = Visible("signature", box_mm=LETTER.signature, image=sample("signature.png"))
    options = PdfOptions(at=SIGNED, visible=drawn)
    data = sign_pdf(letter.letter(), credential=mine["person"].credential, options=options, timestamper=stamps).data
    for visible in (
        Visible("number", box_mm=LETTER.number, text=LETTER.number_text),
        Visible("date", box_mm=LETTER.date, text=LETTER.date_text(DAY.day, DAY.month, DAY.year)),
        Visible("seal", image=sample("seal.png"), diameter_mm=LETTER.seal_diameter),
    ):
        data = _agency_signs(pki, keys, data, visible)
    return data


def signed_appendix(pki: DevPki, keys: Keys, main: bytes) -> bytes:
    """Return the appendix with the agency's line T1; what allows it is the leader's signature on the letter (R36)."""
    visible = Visible("t1", text=f"{LETTER.number_text}/{LETTER.notation}")
    return _agency_signs(pki, keys, letter.appendix(), visible, main=main)


def _agency_signs(pki: DevPki, keys: Keys, data: bytes, visible: Visible, *, main: bytes | None = None) -> bytes:
    judged = replace(context(pki), at=NUMBERED, trust=pki.trust(at=NUMBERED))
    rule = agency_precondition(offices.directory(keys), DAY)
    answer = None if main is None else rule(inspect_file(main, context=judged))
    return sign_pdf(
        data,
        credential=keys[offices.SENDER]["agency"].credential,
        options=PdfOptions(at=NUMBERED, visible=visible),
        timestamper=DevTimestamper(pki, lambda: NUMBERED),
        precondition=rule if main is None else lambda _: answer,
        context=judged,
    ).data


def edxml(main: bytes, appendix: bytes) -> bytes:
    """Return letter and appendix as one edXML file, with fixed content ids."""
    document = Document(
        number=LETTER.number_text,
        notation=LETTER.notation,
        date=DAY,
        type_name=LETTER.type_name,
        subject=LETTER.subject,
        place=LETTER.place,
        signer=SignerInfo(f"{LETTER.competence} GIÁM ĐỐC", LETTER.position, LETTER.signer),
        appendices=("Danh mục văn bản thử nghiệm",),
    )
    sender, recipient = (Party(code, name, address="Số 1 phố Mẫu") for code, name in ORGANS.items())
    attachments = (
        Attachment("120-SMA-VP.pdf", main, "application/pdf", "Văn bản chính", _content_id(1)),
        Attachment(LETTER.appendix_name, appendix, "application/pdf", "Phụ lục", _content_id(2)),
    )
    business = Business(staff=StaffInfo("Văn thư", offices.CLERK, "", "vanthu@a.example"))
    return packed(Envelope(sender, (recipient,), document, attachments, business), at=PACKED)


def _content_id(number: int) -> str:
    return f"cid:00000000-0000-4000-8000-{number:012d}"


# --- checking --------------------------------------------------------------------------------------------------------

Files = Mapping[str, bytes]
Question = tuple[str, Callable[[], bool]]


def names(pki: DevPki) -> tuple[str, ...]:
    """Return the paths of all samples."""
    signed = ("letter.signed.pdf", "appendix.signed.pdf", "letter.edxml", "letter.sealed.edxml", "receipt.xml")
    return (*fixed(pki), *signed, "evidence.asice")


def questions(files: Files, pki: DevPki, keys: Keys) -> Iterator[Question]:
    """Yield what is asked of the files, each with a name a person understands."""
    judged = context(pki)
    for name, data in fixed(pki).items():
        yield f"{name}: comes out again, byte for byte", partial(_same, files[name], data)
    drawn = make_letter.FILES.items()
    yield "the demonstration's letter is this one", lambda: all(sample(name) == made() for name, made in drawn)
    yield "letter.signed.pdf: begins with letter.pdf", lambda: _begins(files, "letter")
    yield "appendix.signed.pdf: begins with appendix.pdf", lambda: _begins(files, "appendix")
    yield "letter.signed.pdf: valid, an original", lambda: _is_original(files["letter.signed.pdf"], judged, keys)
    yield "appendix.signed.pdf: valid", lambda: _is_valid(inspect_file(files["appendix.signed.pdf"], context=judged))
    made = (files["letter.signed.pdf"], files["appendix.signed.pdf"])
    yield "letter.edxml: comes out again, byte for byte", lambda: files["letter.edxml"] == edxml(*made)
    yield "letter.sealed.edxml: opens, holds both files", lambda: _opens(files, judged)
    yield "receipt.xml: valid, about this message", lambda: _is_receipt(files, judged, keys)
    yield "evidence.asice: proved", lambda: _is_proved(files, judged)
    yield f"all together below {SMALL} bytes", lambda: sum(map(len, files.values())) < SMALL


def _same(found: bytes, made: bytes) -> bool:
    return found == made


def _begins(files: Files, name: str) -> bool:
    return files[f"{name}.signed.pdf"].startswith(files[f"{name}.pdf"])


def _is_valid(report: Report) -> bool:
    return report.verdict is Verdict.VALID


def _is_original(data: bytes, judged: Context, keys: Keys) -> bool:
    report = inspect_file(data, context=judged)
    found = legal_class(report, directory=offices.directory(keys), on=DAY, sender=offices.SENDER)
    return _is_valid(report) and len(report.signatures) == SIGNATURES and found == ORIGINAL


def _opens(files: Files, judged: Context) -> bool:
    opened = seals.open_sealed(files["letter.sealed.edxml"], context=judged)
    assert isinstance(opened.message, Envelope)
    held = tuple(one.content for one in opened.message.attachments)
    return held == (files["letter.signed.pdf"], files["appendix.signed.pdf"])


def _is_receipt(files: Files, judged: Context, keys: Keys) -> bool:
    sealed = files["letter.sealed.edxml"]
    slip = seals.open_sealed(sealed, context=judged).slip
    expected = receipts.Expected(
        Key(offices.SENDER, offices.RECIPIENT, slip.message_id),
        len(sealed),
        sha256(sealed).hexdigest(),
        (keys[offices.RECIPIENT]["exchange"].credential.sha256,),
    )
    verified = receipts.verify(files["receipt.xml"], context=judged, expected=expected)
    return verified.receipt.event == receipts.ACCEPTANCE and _is_valid(verified.report)


def _is_proved(files: Files, judged: Context) -> bool:
    found = evidence.audit(files["evidence.asice"], context=judged, only=STEPS, software="samples")
    held = sha256(files["receipt.xml"]).hexdigest()
    return found.result is Result.PROVED and held in _digests(files["evidence.asice"])


def _digests(package: bytes) -> set[str]:
    from signer.asic import read_container

    return {sha256(data).hexdigest() for data in read_container(package).members.values()}


# --- the command -----------------------------------------------------------------------------------------------------


def check(folder: Path) -> int:
    """Ask every question of the files in a folder, print those that fail, return how many."""
    pki = authority.authority()
    keys = authority.keys(pki)
    missing = [name for name in names(pki) if not (folder / name).is_file()]
    for name in missing:
        print(f"{name}: missing")
    if missing:
        return len(missing)
    files = {name: (folder / name).read_bytes() for name in names(pki)}
    wrong = [question for question, holds in questions(files, pki, keys) if not _asked(holds)]
    for question in wrong:
        print(f"does not hold: {question}")
    return len(wrong)


def _asked(holds: Callable[[], bool]) -> bool:
    try:
        return holds()
    except (SignerError, EdocError, TransportError) as error:
        print(f"{type(error).__name__}: {error}")
        return False


def write(folder: Path) -> None:
    """Make all samples in a folder."""
    pki = authority.authority()
    for name, data in make(pki, authority.keys(pki)).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        print(f"{name}: {len(data)} bytes")


if __name__ == "__main__":
    if "--check" not in sys.argv[1:]:
        write(HERE)
    sys.exit(1 if check(HERE) else 0)
