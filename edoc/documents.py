"""Official documents, their attachments and types (regulations.md 12, R1, R21, R83, R98; edxml.md 5, 7, 11).

A document here is what edXML says of it: number, notation, date, type, summary, signer. Texts are kept in NFC and
trimmed. Values outside the lists (priority, directive) are kept as they are, because readers show them as unknown.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from datetime import date
from enum import IntEnum

from edoc.numbering import code_of
from edoc.values import clean, plain, tidy, without_accents

TRANSPORT_NAME_MAX = 50
"""Characters of a file name in transport (R98)."""


Day = date
"""A calendar day; named apart because several values have a field called ``date``."""


class Priority(IntEnum):
    """Urgency (edxml.md 11.2)."""

    NORMAL = 0
    URGENT = 1
    VERY_URGENT = 2
    EXPRESS = 3
    EXPRESS_AT_HOUR = 4


class Steering(IntEnum):
    """Is the document a directive? (edxml.md 11.2)"""

    NONE = 0
    DIRECTIVE = 1
    REPORT = 2


@dataclass(frozen=True, slots=True)
class DocumentType:
    """A type of document: abbreviation (or empty), group (1 legal, 2 administrative), number in the list."""

    name: str
    abbreviation: str
    group: int
    number: int  # in the administrative list of edxml.md 11.3; 0 = not in it


def _types(*rows: tuple[str, str, int]) -> tuple[DocumentType, ...]:
    return tuple(DocumentType(name, abbreviation, 2, number) for name, abbreviation, number in rows)


TYPES: tuple[DocumentType, ...] = _types(
    ("Nghị quyết (cá biệt)", "NQ", 1),
    ("Quyết định (cá biệt)", "QĐ", 2),
    ("Chỉ thị", "CT", 3),
    ("Quy chế", "QC", 4),
    ("Quy định", "QyĐ", 5),
    ("Thông cáo", "TC", 6),
    ("Thông báo", "TB", 7),
    ("Hướng dẫn", "HD", 8),
    ("Chương trình", "CTr", 9),
    ("Kế hoạch", "KH", 10),
    ("Phương án", "PA", 11),
    ("Đề án", "ĐA", 12),
    ("Dự án", "DA", 13),
    ("Báo cáo", "BC", 14),
    ("Biên bản", "BB", 15),
    ("Tờ trình", "TTr", 16),
    ("Hợp đồng", "HĐ", 17),
    ("Công văn", "", 18),
    ("Công điện", "CĐ", 19),
    ("Bản ghi nhớ", "BGN", 20),
    ("Bản thỏa thuận", "BTT", 22),
    ("Giấy ủy quyền", "GUQ", 24),
    ("Giấy mời", "GM", 25),
    ("Giấy giới thiệu", "GGT", 26),
    ("Giấy nghỉ phép", "GNP", 27),
    ("Phiếu gửi", "PG", 30),
    ("Phiếu chuyển", "PC", 31),
    ("Phiếu báo", "PB", 0),
    ("Thư công", "", 32),
)
"""The 29 types of Decree 30/2020; the numbers are those of the older list that edXML was written with."""

LEGAL_TYPES = (
    "Hiến pháp",
    "Bộ luật",
    "Luật",
    "Pháp lệnh",
    "Lệnh",
    "Nghị định",
    "Nghị quyết liên tịch",
    "Thông tư",
    "Thông tư liên tịch",
)
"""Types that are always legal normative documents (group 1)."""


def type_of(name: str) -> DocumentType | None:
    """Return the type of a name, whatever its case, accents, tone placement or the addition ``(cá biệt)``."""
    return _BY_NAME.get(_type_key(name))


def classify(name: str) -> DocumentType:
    """Return the type of a name; a name outside the list is group 1 if it names a legal type, else 2, number 0."""
    known = type_of(name)
    if known is not None:
        return known
    return DocumentType(clean(name), "", 1 if _type_key(name) in _LEGAL else 2, 0)


def _type_key(name: str) -> str:
    return plain(name).removesuffix("(ca biet)").strip()


# The 29 names stay apart without accents; a test over TYPES keeps it so.
_BY_NAME = {_type_key(item.name): item for item in TYPES}
_LEGAL = frozenset(_type_key(name) for name in LEGAL_TYPES)


def new_content_id() -> str:
    """Return a fresh ContentId: ``cid:`` and a random UUID."""
    return f"cid:{uuid.uuid4()}"


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file of a message: the first is the main document. ``fault`` says why ``content`` could not be read."""

    name: str
    content: bytes = field(repr=False)
    content_type: str
    description: str = ""
    content_id: str = field(default_factory=new_content_id)
    fault: str = ""

    def __post_init__(self) -> None:
        tidy(self, "name", "content_type", "description", "content_id")


@dataclass(frozen=True, slots=True)
class SignerInfo:
    """Who signed, as the document says: capacity (``KT. GIÁM ĐỐC``), position, full name."""

    competence: str = ""
    position: str = ""
    full_name: str = ""

    def __post_init__(self) -> None:
        tidy(self, "competence", "position", "full_name")


@dataclass(frozen=True, slots=True)
class Document:
    """The header of an official document. An empty ``content`` means: the same as ``subject``."""

    number: str
    notation: str
    date: Day | None
    type_name: str
    subject: str
    content: str = ""
    place: str = ""
    signer: SignerInfo | None = None
    priority: int = Priority.NORMAL
    due: Day | None = None
    to_places: tuple[str, ...] = ()
    pages: int | None = None
    copies: int | None = None
    sphere: str = ""
    typist: str = ""
    appendices: tuple[str, ...] = ()
    steering: int = Steering.NONE
    document_id: str = ""

    def __post_init__(self) -> None:
        tidy(self, "number", "notation", "type_name", "subject", "content", "place", "sphere", "typist", "document_id")
        for name in ("to_places", "appendices"):
            object.__setattr__(self, name, tuple(clean(item) for item in getattr(self, name)))

    @property
    def code(self) -> str:
        """Number and notation in one text, as it is printed: ``120/SMA-VP``."""
        return code_of(self.number, self.notation)


# R1: a mark stands alone, in brackets at an end, or after the words "độ mật". Ordinary words are no marks:
# "bảo mật", "bí mật", "mật khẩu", "mật độ".
_MARK = r"(?:tuyệt\s+mật|tối\s+mật|mật)"
_MARKED = re.compile(
    rf"^{_MARK}$"
    rf"|^[\[(【*]+\s*{_MARK}\s*[\])】*]+|[\[(【*]+\s*{_MARK}\s*[\])】*]+$"
    rf"|\b(?:độ|mức\s+độ|dấu)\s+mật\s*[:\-–]\s*{_MARK}\b",
    re.IGNORECASE,
)
_SHOUTED = re.compile(r"^(?:TUYỆT\s+MẬT|TỐI\s+MẬT|MẬT)\b\s*[-–:.]|[-–:.]\s*(?:TUYỆT\s+MẬT|TỐI\s+MẬT|MẬT)$")


def has_secret_mark(text: str) -> bool:
    """Say whether a text carries the mark mật, tối mật or tuyệt mật (and does not merely speak of secrets)."""
    value = clean(text)
    if "mật" not in value.casefold():  # every mark has the word
        return False
    return bool(_MARKED.search(value) or _SHOUTED.search(value))


def secret_field(document: Document) -> str | None:
    """Return the name of the first field of a document that carries a secrecy mark, or ``None`` (R1)."""
    fields = (
        ("SphereOfPromulgation", (document.sphere,)),
        ("TypeName", (document.type_name,)),
        ("CodeNotation", tuple(document.notation.split("-"))),
        ("Subject", (document.subject,)),
        ("Content", (document.content,)),
        ("Appendix", document.appendices),
    )
    return next((name for name, texts in fields if any(map(has_secret_mark, texts))), None)


def is_secret(document: Document) -> bool:
    """Say whether a document is marked mật, tối mật or tuyệt mật, and so never exchanged (R1)."""
    return secret_field(document) is not None


def transport_name(name: str) -> str:
    """Return a name fit for transport: at most 50 characters, no accents or special ones, same extension (R98)."""
    stem, dot, extension = clean(name).rpartition(".")
    if not dot or not stem:
        stem, extension = clean(name), ""
    ending = _ascii(extension)[:10].rstrip("-._")
    suffix = f".{ending}" if ending else ""
    short = _ascii(stem)[: TRANSPORT_NAME_MAX - len(suffix)].rstrip("-_.")
    return (short or "tep") + suffix


def _ascii(text: str) -> str:
    return re.sub(r"[^0-9A-Za-z._]+", "-", without_accents(text)).strip("-._")
