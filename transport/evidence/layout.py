"""Names, roles and media types of the members of a package (ledger.md 10.1)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from hashlib import sha256

MEDIA_TYPE = "application/vnd.etsi.asic-e+zip"
README = "README.txt"
MESSAGE = "message.json"
ENVELOPE = "envelope/message.edxml"
OPENINGS = "redacted/openings.json"
DIRECTORY = "directory.json"
REPORT = "report.json"
MANIFEST = "META-INF/manifest.xml"
CONTENT = "content/"

MAX_MEMBERS = 10_000

_NUMBER = r"(?:0|[1-9][0-9]{0,18})"
_EVENT = r"[0-9]{2,5}-[a-z][a-z0-9-]{0,63}"
_ROLES: tuple[tuple[str, str, str], ...] = (
    ("mimetype", r"mimetype", "text/plain"),
    ("readme", r"README\.txt", "text/plain; charset=utf-8"),
    ("message", r"message\.json", "application/json"),
    ("content", r"content/[^/]{1,255}", "application/octet-stream"),
    ("envelope", r"envelope/message\.edxml", "application/vnd.edoc.message+xml"),
    ("evidence", rf"receipts/{_EVENT}\.(?:xml|edxml|json|bin)", "application/octet-stream"),
    ("proof", rf"ledger/(?:own|peer)/{_EVENT}\.tlog-proof", "text/plain; charset=utf-8"),
    ("checkpoint", rf"ledger/[0-9a-f]{{16}}/checkpoint-{_NUMBER}", "text/plain; charset=utf-8"),
    ("token", rf"ledger/[0-9a-f]{{16}}/checkpoint-{_NUMBER}\.tsr", "application/timestamp-reply"),
    ("record", rf"ledger/[0-9a-f]{{16}}/checkpoint-{_NUMBER}\.ers", "application/octet-stream"),
    ("cosigned", rf"ledger/[0-9a-f]{{16}}/cosigned-{_NUMBER}", "text/plain; charset=utf-8"),
    ("consistency", rf"ledger/[0-9a-f]{{16}}/consistency-{_NUMBER}-{_NUMBER}", "text/plain; charset=utf-8"),
    ("statement", r"ledger/keys/[A-Za-z0-9._-]{1,64}-[1-9][0-9]{0,9}\.xml", "application/xml"),
    ("policy", r"ledger/policy\.txt", "text/plain; charset=utf-8"),
    ("openings", r"redacted/openings\.json", "application/json"),
    ("certificate", r"trust/certs/[0-9a-f]{16}\.cer", "application/pkix-cert"),
    ("crl", r"trust/crl/[0-9a-f]{16}\.crl", "application/pkix-crl"),
    ("ocsp", r"trust/ocsp/[0-9a-f]{16}\.ors", "application/ocsp-response"),
    ("directory", r"directory\.json", "application/json"),
    ("report", r"report\.json", "application/json"),
    ("report", r"report\.pdf", "application/pdf"),
    ("manifest", r"META-INF/manifest\.xml", "text/xml"),
    ("signature", r"META-INF/signatures[0-9]{3}\.xml", "text/xml"),
)
_COMPILED = tuple((role, re.compile(pattern), media) for role, pattern, media in _ROLES)

_EXTENSIONS = {"receipt": "xml", "statement": "xml", "status": "edxml", "notice": "edxml", "record": "json"}
_MEDIA = {"xml": "application/xml", "edxml": "application/vnd.edoc.message+xml", "json": "application/json"}
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')

README_TEXT = """\
HỒ SƠ CHỨNG CỨ CỦA MỘT VĂN BẢN ĐIỆN TỬ / EVIDENCE PACKAGE OF ONE ELECTRONIC DOCUMENT

[vi] Tệp này chứng minh việc gửi, nhận và xử lý một văn bản. Kiểm tra ngoại tuyến bằng:
       edoc audit TEN-TEP --trust CHUNG-THU-GOC.pem
     Niềm tin do người kiểm tra đưa vào, không lấy từ tệp này. Các chuẩn dùng: ASiC-E (EN 319 162-1), XAdES
     (EN 319 132-1), cây Merkle RFC 6962, C2SP signed-note, tlog-checkpoint, tlog-proof. Thư mục:
       envelope/  văn bản đã đóng gói và niêm phong      content/   tệp đính kèm như đã trao đổi
       receipts/  biên nhận, trạng thái, biên bản         ledger/    bằng chứng ghi sổ và khóa của sổ
       trust/     chứng thư và trạng thái đã dùng          META-INF/  chữ ký niêm phong toàn bộ hồ sơ

[en] This file proves that a document was sent, received and dealt with. Check it offline with:
       edoc audit FILE --trust ROOT.pem
     Trust is brought by whoever checks, never taken from this file. Standards: ASiC-E (EN 319 162-1), XAdES
     (EN 319 132-1), Merkle tree of RFC 6962, C2SP signed-note, tlog-checkpoint, tlog-proof. Folders:
       envelope/  the sealed message                       content/   attachments as exchanged
       receipts/  receipts, statuses, records              ledger/    proofs of the log and its keys
       trust/     certificates and status as used          META-INF/  seal over the whole package
"""


def role_of(name: str) -> str | None:
    """Return the role of a member by its name, or ``None`` when the layout has no such member."""
    return next((role for role, pattern, _ in _COMPILED if pattern.fullmatch(name)), None)


def media_type_of(name: str) -> str:
    """Return the media type of a member. Raises ``ValueError`` when the layout has no such member."""
    if name.startswith("receipts/"):
        return _MEDIA.get(name.rpartition(".")[2], "application/octet-stream")
    for _, pattern, media in _COMPILED:
        if pattern.fullmatch(name):
            return media
    raise ValueError(f"the layout has no member {name}")


def log_folder(origin: str) -> str:
    """Return the folder of a log: the first 16 hexadecimal digits of SHA-256 of its origin."""
    return f"ledger/{sha256(origin.encode('utf-8')).hexdigest()[:16]}/"


def evidence_name(number: int, kind: str, rtype: str) -> str:
    """Return where the bytes behind a leaf's ``receipt`` lie."""
    return f"receipts/{number:02}-{kind}.{_EXTENSIONS.get(rtype, 'bin')}"


def digest_name(folder: str, data: bytes, suffix: str) -> str:
    """Return the name of a member called after its digest."""
    return f"{folder}{sha256(data).hexdigest()[:16]}.{suffix}"


def content_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return member names for attachments in manifest order: their own where safe and unique, else numbered."""
    taken: set[str] = set()
    found = []
    for number, name in enumerate(names, 1):
        plain = _UNSAFE.sub("_", unicodedata.normalize("NFC", name)).strip(". ")[-200:]
        unsafe = plain != name or not plain or plain.casefold() in taken
        plain = f"{number:03}-{plain or 'file'}" if unsafe else plain
        taken.add(plain.casefold())
        found.append(CONTENT + plain)
    return tuple(found)
