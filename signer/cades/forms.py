"""In which forms CMS travels: DER and BER, PEM, base64 alone, S/MIME; time-stamp answers (signing.md 6, S1; RFC 8551).

``kind_of`` looks at the start of a file and says what kind of CMS it is, ``unwrap`` takes the wrapping off. Nothing is
decoded that the file does not say it is; what cannot be unwrapped is a ``ValueError``.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from itertools import islice

from signer import ber, der
from signer.cmsnames import CONTENT_TYPES, DIGESTS

HEAD_BYTES = 4096
BLOCKS_MAX = 20
"""PEM blocks of one file that are read."""
RESPONSE, EVIDENCE, BARE = "timestamp_response", "evidence_record", "bare_signed_data"
_SPACE = b" \t\r\n\xef\xbb\xbf\0"
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 #]{1,40})-----\s*?\n(.*?)(?:-----END \1-----|\Z)", re.DOTALL)
_PEM_KINDS = re.compile(rb"-----BEGIN (?:CMS|PKCS7|PKCS #7 SIGNED DATA|SIGNED MESSAGE|TIMESTAMP[A-Z ]*)-----")
_BASE64 = re.compile(rb"[A-Za-z0-9+/=\s]+")
_MIME = re.compile(rb"(?:[A-Za-z0-9-]{1,60}:[^\n]*\n(?:[ \t][^\n]*\n)*)+")
_SIGNED_MIME = re.compile(r"application/(?:x-)?pkcs7-(?:mime|signature)|multipart/signed", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Form:
    """CMS without its wrapping: what kind, its octets, and what stood around it.

    ``contents`` are the forms of the content that an S/MIME message of two parts carries beside the signature.
    """

    kind: str
    data: bytes
    contents: tuple[bytes, ...] = ()
    trailing: int = 0  # octets behind the value that mean nothing


def kind_of(head: bytes) -> str | None:
    """Return what kind of CMS starts here, in any form: a content type by name, ``RESPONSE``, ``EVIDENCE``, or none."""
    head = head[:HEAD_BYTES].lstrip(_SPACE)
    found = _kind_of_value(head)
    if found is not None or head[:1] in (b"\x30", b"<", b"%") or head.startswith(b"PK\x03\x04"):
        return found
    if _PEM_KINDS.search(head):
        return "signed_data"
    mime = _MIME.match(head)
    if mime is not None and _is_signed_mime(mime[0]):
        return "signed_data"
    if (block := _PEM.search(head)) is not None:
        return _kind_of_value(_some_base64(block[2]))
    start = _BASE64.match(head)
    return _kind_of_value(_some_base64(start[0])) if start is not None and len(start[0]) > 40 else None


def _some_base64(text: bytes) -> bytes:
    letters = b"".join(text[:400].split())
    try:
        return base64.b64decode(letters[: len(letters) // 4 * 4])
    except binascii.Error:
        return b""


def _kind_of_value(head: bytes) -> str | None:
    """Tell a value by its first octets, of which not more than some dozens need to be there."""
    at = _inside(head, 0, der.SEQUENCE)
    if at is None:
        return None
    name = _identifier(head, at)
    if name is not None:
        return CONTENT_TYPES.get(name)
    if head[at : at + 2] == b"\x02\x01" and head[at + 3 : at + 4] == b"\x30":
        return EVIDENCE if _starts_with_digests(head, at + 3) else None
    if head[at : at + 2] == b"\x02\x01" and head[at + 3 : at + 4] == b"\x31":
        inner = _inside(head, at + 3, der.SET)
        algorithm = _inside(head, inner, der.SEQUENCE) if inner is not None else None
        return BARE if algorithm is not None and (_identifier(head, algorithm) or "") in DIGESTS else None
    status = _inside(head, at, der.SEQUENCE)
    if status is not None and head[status : status + 2] == b"\x02\x01" and head[status + 2 : status + 3] <= b"\x05":
        return RESPONSE if _is_response(head, at) else None
    return None


def _inside(head: bytes, at: int, tag: int) -> int | None:
    """Return where the content of a value of this kind begins; its length need not be there."""
    if head[at : at + 1] != bytes((tag,)) or len(head) < at + 2:
        return None
    size = head[at + 1]
    return at + 2 + (size & 0x7F if size & 0x80 and size != 0x80 else 0)


def _identifier(head: bytes, at: int) -> str | None:
    try:
        return ber.identifier(ber.node(head, at))
    except ValueError:
        return None


def _starts_with_digests(head: bytes, at: int) -> bool:
    listed = _inside(head, at, der.SEQUENCE)
    first = _inside(head, listed, der.SEQUENCE) if listed is not None else None
    return first is not None and (_identifier(head, first) or "") in DIGESTS


def _is_response(head: bytes, at: int) -> bool:
    """A status alone, or one with a token behind it."""
    try:
        status = ber.node(head, at)
    except ValueError:
        return False
    token = _inside(head, status.stop, der.SEQUENCE)
    return token is None or CONTENT_TYPES.get(_identifier(head, token) or "") == "signed_data"


def unwrap(data: bytes) -> tuple[Form, ...]:
    """Take the wrapping off; several forms are several blocks of PEM.

    Raises:
        ValueError: there is no CMS in it that could be read.
    """
    stripped = data.lstrip(_SPACE)
    found = _kind_of_value(stripped[:HEAD_BYTES])
    if found is not None:
        return (_form(stripped, found),)
    if b"-----BEGIN " in stripped[:HEAD_BYTES] and not _MIME.match(stripped):
        found_blocks = list(islice(_PEM.finditer(stripped), BLOCKS_MAX + 1))
        if len(found_blocks) > BLOCKS_MAX:
            raise ValueError("too many blocks")  # none is left out in silence
        blocks = [_base64(match[2]) for match in found_blocks]
        kinds = [(block, _kind_of_value(block[:HEAD_BYTES])) for block in blocks]
        forms = tuple(_form(block, kind) for block, kind in kinds if kind is not None)
        if not forms:
            raise ValueError("no CMS in PEM")
        return forms
    mime = _MIME.match(stripped)
    if mime is not None and _is_signed_mime(mime[0]):
        return (_of_message(stripped, mime[0]),)
    return (_of_octets(_base64(stripped)),)


def _form(data: bytes, kind: str) -> Form:
    """Cut one value off; zero octets and line ends behind it are nothing."""
    found = ber.node(data)
    behind = data[found.stop :]
    return Form(kind, data[: found.stop], trailing=len(behind) if behind.strip(_SPACE) else 0)


def _of_octets(data: bytes) -> Form:
    kind = _kind_of_value(data[:HEAD_BYTES])
    if kind is None:
        raise ValueError("no CMS")
    return _form(data, kind)


def _base64(text: bytes) -> bytes:
    """Decode base64 that may be broken into lines, headers of PEM in front of it left out.

    Raises:
        ValueError: it is none.
    """
    if b":" in text:
        text = text.replace(b"\r\n", b"\n").partition(b"\n\n")[2]
    return base64.b64decode(b"".join(text.split()), validate=True)


def _headers(text: bytes) -> Message:
    """Read headers of MIME as mail programs do: by their names, parameters by theirs."""
    return message_from_bytes(text)


def _is_signed_mime(text: bytes) -> bool:
    """Tell whether a field says that this is a signed message; also if several fields of that name disagree."""
    types = _headers(text).get_all("Content-Type", [])
    return any(_SIGNED_MIME.match(str(one).strip()) for one in types)


def _of_message(data: bytes, text: bytes) -> Form:
    headers = _headers(text)
    _once(headers)
    body = data[len(text) :].removeprefix(b"\r").removeprefix(b"\n")
    if headers.get_content_type() != "multipart/signed":
        return _of_octets(_decoded(headers, body))
    content, signature = _two_parts(headers, body)
    own = _MIME.match(signature)
    form = _of_octets(_decoded(_headers(own[0]), signature[len(own[0]) :]) if own is not None else _base64(signature))
    canonical = re.sub(rb"\r?\n", b"\r\n", content)
    return Form(form.kind, form.data, tuple(dict.fromkeys((canonical, content))), form.trailing)


def _once(headers: Message) -> None:
    """Refuse fields that are there twice: programs would read different ones."""
    for name in ("Content-Type", "Content-Transfer-Encoding"):
        if len(headers.get_all(name, [])) > 1:
            raise ValueError("damaged message")


def _two_parts(headers: Message, body: bytes) -> tuple[bytes, bytes]:
    """Return what was signed and the signature: two parts, no more, up to the closing line (RFC 1847, 2.1)."""
    boundary = headers.get_boundary()
    if not boundary or not boundary.isascii():
        raise ValueError("damaged message")
    mark = re.escape(b"--" + boundary.encode("ascii"))
    pieces = re.split(rb"(?:\A|\r?\n)" + mark + rb"(--)?[ \t]*(?=\r?\n|\Z)", body)
    closings = pieces[1::2]
    if len(closings) < 2 or any(closings[:2]) or (len(closings) > 2 and not closings[2]):
        raise ValueError("damaged message")
    content, signature = (re.sub(rb"\A\r?\n", b"", one) for one in (pieces[2], pieces[4]))
    return content, signature


def _decoded(headers: Message, body: bytes) -> bytes:
    _once(headers)
    coding = headers.get("Content-Transfer-Encoding")
    if coding is not None and str(coding).strip().lower() != "base64":
        return body.lstrip(b"\r\n")
    return base64.b64decode(b"".join(body.split()), validate=True)
