"""Sealed messages too large to be held: checked in one pass, each attachment opened on its own (signing.md 5.4).

What passes is kept in files of the system's temporary folder, which are gone when the answer is given; nothing of it is
looked at before the seal has held. Memory stays at the size of the largest attachment.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import IO

from edoc.documents import Attachment
from edoc.edxml import read
from edoc.edxml.files import unwrap
from edoc.edxml.limits import ReadLimits
from edoc.envelopes import Envelope
from edoc.errors import EdocError
from signer.report import Code, Reason, Report, Verdict
from signer.xml.profiles import SealInspection
from signer.xml.stream import inspect_stream
from transport.judging.combining import worst
from transport.judging.files import Judging, malformed
from transport.judging.messages import description, opened

HELD = 1024 * 1024
"""Octets of one attachment that are kept in memory before they go to a file."""


@dataclass(slots=True)
class _Kept:
    """Keeps each run of base64 by the word that stands for it."""

    stack: ExitStack
    runs: dict[str, IO[bytes]] = field(default_factory=dict)
    current: IO[bytes] | None = None

    def begin(self, word: str) -> None:
        """A run begins."""
        file = tempfile.SpooledTemporaryFile(max_size=HELD)  # noqa: SIM115  # closed by the stack
        self.current = self.runs[word] = self.stack.enter_context(file)

    def write(self, data: bytes) -> None:
        """Keep the next octets of the run."""
        if self.current is not None:
            self.current.write(data)


def judge_stream(pieces: Iterable[bytes], *, judging: Judging) -> Report:
    """Return the report of a sealed message that comes in pieces, its attachments judged.

    Raises:
        NotStreamable: the message is not in the spelling that can be checked in one pass.
    """
    with ExitStack() as stack:
        kept = _Kept(stack)
        inspection = inspect_stream(pieces, context=judging.context, sink=kept)
        return judging.known(_with_parts(inspection, kept, judging))


def _with_parts(inspection: SealInspection, kept: _Kept, judging: Judging) -> Report:
    """Without a seal that holds in every respect nothing is opened, and the message is not valid anyway."""
    report, sealed = inspection.report, inspection.sealed
    if sealed is None:
        return report
    for element in sealed.tree.iter():
        if element.text in kept.runs:
            element.text = base64.b64encode(element.text.encode("ascii")).decode("ascii")
    try:
        message = read(sealed.tree).message
    except EdocError as error:
        reason = malformed(f"edXML ({error.code})")
        return replace(report, verdict=worst(report.verdict, Verdict.INDETERMINATE), reasons=(reason, *report.reasons))
    described = replace(report, document=description(message))
    if not isinstance(message, Envelope):
        return replace(described, format="edXML status")
    parts = tuple(_parts(message.attachments, kept, judging))
    return opened(replace(described, format="edXML document"), message, parts)


def _parts(attachments: Iterable[Attachment], kept: _Kept, judging: Judging) -> Iterator[tuple[str, Report]]:
    limits = ReadLimits()
    for item in attachments:
        run = kept.runs.get(item.content.decode("ascii", "replace")) if len(item.content) < 100 else None
        if run is None:
            yield item.name, judging.inspect(item.content)
            continue
        content = _content(run, limits.attachment_bytes)
        if content is None:
            yield item.name, _over(run)
            continue
        taken = unwrap(content, name=item.name, content_type=item.content_type, limits=limits)
        yield taken.name, judging.inspect(taken.content)


def _content(run: IO[bytes], most: int) -> bytes | None:
    """Return the octets of an attachment, ``None`` if they are too many; what is no base64 is empty, as elsewhere."""
    size = run.tell()
    if size * 3 // 4 > most * 11 // 10:
        return None
    run.seek(0)
    try:
        found = base64.b64decode(run.read().replace(b"\n", b""), validate=True)
    except binascii.Error:
        return b""
    return found if len(found) <= most else None


def _over(run: IO[bytes]) -> Report:
    """Return the report of an attachment that is too large to be opened: told by its digest, not judged."""
    digest, size = hashlib.sha256(), 0
    run.seek(0)
    left = b""
    while piece := run.read(3 * 2**20):
        dense = left + piece.replace(b"\n", b"")
        whole = len(dense) // 4 * 4
        data = base64.b64decode(dense[:whole])
        digest.update(data)
        size += len(data)
        left = dense[whole:]
    reason = Reason(Code.LIMIT_EXCEEDED, {"limit": "attachment_max_bytes"})
    return Report("unknown", None, Verdict.INDETERMINATE, digest.hexdigest(), size, reasons=(reason,))
