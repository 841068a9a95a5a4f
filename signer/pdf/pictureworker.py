"""The worker that draws pages: a program of its own, started by ``signer.pdf.pictures`` (signing.md 4.3, ``pictures``).

It reads a request and a file from standard input, draws with PDFium, and writes pixels to standard output: for each
picture asked for, in order, one octet (1 drawn, 0 there is no such page) and, if drawn, width x height x 4 octets
(blue, green, red, unused). A file that cannot be opened ends it with code 3. It imports nothing of ours.

Before the first octet of the file is read it gives up memory, time, files, sockets and processes beyond what it holds;
fonts of the system are not looked for, so that every machine draws the same.
"""

from __future__ import annotations

import ctypes
import json
import resource
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

CANNOT_OPEN = 3
BGRX = 3
WHITE = 0xFFFFFFFF
ANNOTATIONS = 0x01


def main() -> int:
    """Draw what standard input asks for. The only argument is the folder that holds ``pypdfium2_raw``."""
    sys.path.append(sys.argv[1])
    import pypdfium2_raw as pdfium

    line = sys.stdin.buffer.readline()
    request = json.loads(line)
    confine(memory=request["memory"] + request["size"], seconds=request["seconds"])
    data = sys.stdin.buffer.read(request["size"])
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


if __name__ == "__main__":
    sys.exit(main())
