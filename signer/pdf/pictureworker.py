"""The worker that draws pages and finds their letters: a program of its own (signing.md 3.3, 4.3, ``pictures``).

Started by ``signer.pdf.pictures`` and ``signer.pdf.letters``, it reads a request and a file from standard input, uses
PDFium, and writes to standard output. For each picture asked for, in order: one octet (1 drawn, 0 there is no such
page) and, if drawn, width x height x 4 octets (blue, green, red, unused). If letters are asked for: the number of
pages, and for each page asked for the number of its letters (four octets, little-endian) and as many times ``LETTER``.
A file that cannot be opened ends it with code 3. It imports nothing of ours.

With the word ``keep`` it stays and answers one request after another, each with its ``token`` first, in a process of
its own that has seen no other file; one that fails ends it.

Before the first octet of the file is read it gives up memory, time, files, sockets and processes beyond what it holds;
fonts of the system are not looked for, so that every machine draws the same.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import struct
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

CANNOT_OPEN = 3
BGRX = 3
WHITE = 0xFFFFFFFF
ANNOTATIONS = 0x01
LETTER = struct.Struct("<I10f")
"""One letter: code point, origin (x, y), boxes of its ink and of its line (left, bottom, right, top), in user space."""
LETTERS_MAX = 50_000
"""Letters of a page that are told."""


def main() -> int:
    """Do what standard input asks for. Arguments: the folder that holds ``pypdfium2_raw``, and ``keep`` to stay."""
    sys.path.append(sys.argv[1])
    import pypdfium2_raw as pdfium

    if sys.argv[2:] == ["keep"]:
        return keep(pdfium)
    request = json.loads(sys.stdin.buffer.readline())
    confine(memory=request["memory"] + request["size"], seconds=request["seconds"])
    return answer(pdfium, request, sys.stdin.buffer.read(request["size"]))


def keep(pdfium: ModuleType) -> int:
    """Answer requests until there are no more, or one fails."""
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        data = sys.stdin.buffer.read(request["size"])
        sys.stdout.buffer.write(bytes.fromhex(request["token"]))
        sys.stdout.buffer.flush()
        child = os.fork()
        if not child:
            code = 1
            try:
                confine(memory=request["memory"] + request["size"], seconds=request["seconds"])
                code = answer(pdfium, request, data)
            finally:
                os._exit(code)
        if os.waitpid(child, 0)[1]:
            return 1
    return 0


def answer(pdfium: ModuleType, request: dict[str, Any], data: bytes) -> int:
    """Write the answer to one request."""
    start(pdfium)
    info = pdfium.FPDF_FORMFILLINFO(version=2)  # no callbacks: nothing is asked, shown or run
    documents: dict[int, tuple[object, object]] = {}
    for end, number, width, height in request["pictures"]:
        if end not in documents:
            document = pdfium.FPDF_LoadMemDocument64(data, end, None)
            if not document:
                return CANNOT_OPEN
            documents[end] = document, pdfium.FPDFDOC_InitFormFillEnvironment(document, info)
        draw(pdfium, documents[end], number, width, height)
    if request.get("letters"):
        document = pdfium.FPDF_LoadMemDocument64(data, len(data), None)
        if not document:
            return CANNOT_OPEN
        sys.stdout.buffer.write(struct.pack("<I", pdfium.FPDF_GetPageCount(document)))
        for number in request["letters"]:
            tell_letters(pdfium, document, number)
    sys.stdout.buffer.flush()
    return 0


def confine(*, memory: int, seconds: int) -> None:
    """Give up everything but the open pipes, this much address space (octets) and this much computing time.

    Raises:
        ValueError, OSError: the system cannot limit it; then nothing is drawn.
    """
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 0),
    ):
        resource.setrlimit(what, (most, most))


def start(pdfium: ModuleType) -> None:
    """Start the library with an empty list of font folders."""
    config = pdfium.FPDF_LIBRARY_CONFIG()
    config.version = 2
    config.m_pUserFontPaths = (ctypes.POINTER(ctypes.c_char) * 1)()
    pdfium.FPDF_InitLibraryWithConfig(config)


def draw(pdfium: ModuleType, opened: tuple[object, object], number: int, width: int, height: int) -> None:
    """Write one picture: the page, its annotations, and then, as readers do, its widgets."""
    document, form = opened
    page = pdfium.FPDF_LoadPage(document, number - 1)
    if not page:
        sys.stdout.buffer.write(b"\0")
        return
    pixels = ctypes.create_string_buffer(width * height * 4)
    bitmap = pdfium.FPDFBitmap_CreateEx(width, height, BGRX, pixels, width * 4)
    if not bitmap:
        raise MemoryError
    pdfium.FPDFBitmap_FillRect(bitmap, 0, 0, width, height, WHITE)
    pdfium.FPDF_RenderPageBitmap(bitmap, page, 0, 0, width, height, 0, ANNOTATIONS)
    if form:
        pdfium.FPDF_FFLDraw(form, bitmap, page, 0, 0, width, height, 0, ANNOTATIONS)
    pdfium.FPDFBitmap_Destroy(bitmap)
    pdfium.FPDF_ClosePage(page)
    sys.stdout.buffer.write(b"\1")
    sys.stdout.buffer.write(pixels)


def tell_letters(pdfium: ModuleType, document: object, number: int) -> None:
    """Write the letters of a page in the order of its content; white space is left out."""
    page = pdfium.FPDF_LoadPage(document, number - 1)
    text = pdfium.FPDFText_LoadPage(page) if page else None
    found = []
    if text:
        for index in range(min(pdfium.FPDFText_CountChars(text), LETTERS_MAX)):
            code = pdfium.FPDFText_GetUnicode(text, index)
            if code > 32 and not chr(code if code < 0x110000 else 32).isspace():
                found.append(letter_at(pdfium, text, index, code))
        pdfium.FPDFText_ClosePage(text)
    if page:
        pdfium.FPDF_ClosePage(page)
    sys.stdout.buffer.write(struct.pack("<I", len(found)) + b"".join(found))
    sys.stdout.buffer.flush()


def letter_at(pdfium: ModuleType, text: object, index: int, code: int) -> bytes:
    """Return one letter as it is told."""
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    x, y = ctypes.c_double(), ctypes.c_double()
    line = pdfium.FS_RECTF()
    pdfium.FPDFText_GetCharBox(text, index, left, right, bottom, top)
    pdfium.FPDFText_GetCharOrigin(text, index, x, y)
    pdfium.FPDFText_GetLooseCharBox(text, index, line)
    ink = left.value, bottom.value, right.value, top.value
    try:
        return LETTER.pack(code, x.value, y.value, *ink, line.left, line.bottom, line.right, line.top)
    except OverflowError:  # a letter somewhere beyond all pages
        return LETTER.pack(code, *[0.0] * 10)


if __name__ == "__main__":
    sys.exit(main())
