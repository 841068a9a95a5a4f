"""A campaign of changed files against signing (signing.md 3.4; 10, A5): ``python -m tests.fuzz.signing --cases 90000``.

Each file is signed by both paths with one key and one time. Found are: errors that are not ours, files over which
signing sat too long, different answers of the two paths, and signed files that do not begin with the input, mean
something else on the other path, or are not intact to pyHanko. What is found is kept as files.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
import traceback
import warnings
import zlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from random import Random

from pyhanko.pdf_utils.misc import PdfError

from signer.credential import Credential
from signer.errors import SignerError
from signer.pdf.sign import PdfOptions, SignedPdf, Visible, sign_pdf
from tests.fuzz.campaign import SECONDS_MAX, Tally, keep
from tests.fuzz.mutations import TOKENS, cut, flip, mutate, number, words
from tests.fuzz.seeds import NOW, Office, plain_pdf
from tests.signer_pdf.oracle import meaning, strictly_read
from tests.signer_pdf.shapes import make, shapes
from tests.vectors.signing.hostile import built
from tests.vectors.signing.hostile_bytes import BYTES
from tests.vectors.signing.hostile_things import THINGS

SMALL = 20_000
WORDS = (*TOKENS, b"3 0 R", b"9 0 R", b"1 0 R", b"(x)", b"/Annots", b"/Kids", b"1e9")
_word = partial(words, tokens=WORDS)
FORMS = (None, None, Visible("t1", text="Số: 15/QĐ-UBND"), Visible("number", text="120", box_mm=(20, 100, 30, 8)))
_OBJECT = re.compile(rb"(?<!\d)(\d{1,3}) 0 obj\s(.{1,60000}?)\sendobj", re.DOTALL)
_ROOT = re.compile(rb"/Root\s+(\d+)")


@lru_cache(maxsize=1)
def seeds() -> dict[str, bytes]:
    """Return the files that are changed: every shape, every small vector, files that are signed already."""
    found = {f"shape-{shape.name}": make(shape) for shape in shapes(90)}
    for vector in (*BYTES, *THINGS):
        data = vector.make()
        if len(data) < SMALL:
            found[f"vector-{vector.name}"] = data
    for stream in (False, True):
        data = plain_pdf(stream=stream)
        for times in range(3):
            found[f"signed-{times}-{stream}"] = data
            options = PdfOptions(at=NOW, level="b")
            data = sign_pdf(data, credential=credential(), options=options).data
    return found


@lru_cache(maxsize=1)
def credential() -> Credential:
    """Return the key of this process; its values are the same each time."""
    return Office.create().rsa.credential


def rewritten(data: bytes, chance: Random) -> bytes:
    """Change some objects and write the file anew with right offsets, so that what is odd is reached by a reader."""
    bodies = {int(found[1]): found[2] for found in _OBJECT.finditer(data) if b"stream" not in found[2]}
    streams = {int(found[1]): found[2] for found in _OBJECT.finditer(data) if b"stream" in found[2]}
    root = _ROOT.search(data)
    if not bodies or root is None or int(root[1]) not in bodies:
        return mutate(data, "pdf", chance)
    for key in chance.sample(sorted(bodies), chance.randint(1, min(3, len(bodies)))):
        donor = bodies[chance.choice(sorted(bodies))] if chance.random() < 0.15 else bodies[key]
        bodies[key] = chance.choice((_word, _word, _word, flip, cut, number))(donor, chance) or b"null"
    return built({**bodies, **streams}, root=int(root[1]))


def ended(data: bytes, options: PdfOptions) -> SignedPdf | str:
    """Return the signed file, or the code of the refusal."""
    try:
        return sign_pdf(data, credential=credential(), options=options)
    except SignerError as refused:
        place = refused.facts.get("where")
        library = isinstance(refused.__context__, PdfError | zlib.error) or place in ("cross-reference", "catalog")
        return f"{LIBRARY}, {refused.code}" if library and options.general else str(refused.code)


LIBRARY = "pyHanko"
"""It refuses what it cannot read strictly, and the fast path does not read all of a file."""


def objection(data: bytes, options: PdfOptions) -> tuple[str, str | None]:
    """Sign by both paths; return what came of it, and what is wrong with that."""
    either, general = ended(data, options), ended(data, replace(options, general=True))
    if isinstance(either, str) or isinstance(general, str):
        first, second = (one if isinstance(one, str) else f"signed, {one.path}" for one in (either, general))
        if second.startswith(LIBRARY):
            return f"{first}; pyHanko cannot read the file", None
        return first, None if first == second else f"paths differ: {first}, {second}"
    return f"signed, {either.path}", None if either.path == "general" else _difference(data, either, general)


def _difference(data: bytes, fast: SignedPdf, general: SignedPdf) -> str | None:
    if not (fast.data.startswith(data) and general.data.startswith(data)):
        return "the input is no prefix"
    if (fast.field, fast.page) != (general.field, general.page):
        return "another field or page"
    if _meant(fast) != _meant(general):
        return "another meaning"
    try:
        read = dict(strictly_read(fast.data))
    except PdfError as error:
        return None if _unreadable(general.data) else f"pyHanko reads the other: {error}"
    return None if read.get(fast.field) else f"pyHanko: {read}"


def _unreadable(data: bytes) -> bool:
    try:
        strictly_read(data)
    except PdfError:
        return True
    return False


def _meant(signed: SignedPdf) -> object:
    """Return what is compared: not the trailer, of which pyHanko takes older entries, too."""
    try:
        return meaning(signed.data)[:-1]
    except SignerError as error:  # what is damaged and has nothing to do with the signature
        return str(error)


def run(names: Sequence[str], first: int, count: int, *, salt: int = 0) -> Tally:
    """Run cases ``first`` to ``first + count`` of these seeds."""
    tally, made = Tally(), seeds()
    for name in names:
        for case in range(first, first + count):
            chance = Random(f"{salt}/sign/{name}/{case}")
            change = rewritten if chance.random() < 0.7 else None
            data = change(made[name], chance) if change else mutate(made[name], "pdf", chance)
            _one(name, data, PdfOptions(at=NOW, level="b", visible=chance.choice(FORMS)), tally)
    return tally


def _one(name: str, data: bytes, options: PdfOptions, tally: Tally) -> None:
    start, why = time.process_time(), None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks of libraries
            answer, why = objection(data, options)
        tally.answers[answer] += 1
    except Exception:  # whatever escapes is what we look for
        why = traceback.format_exc(limit=-4)
    spent = time.process_time() - start
    tally.cases += 1
    tally.seconds += spent
    tally.slowest = max(tally.slowest, spent)
    if spent > SECONDS_MAX:
        why = f"{spent:.1f} s over one file"
    if why:
        tally.found.append((re.sub(r"[^\w-]+", "-", name), f"{why}\n{options.visible}", data))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a campaign; 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--salt", type=int, default=0, help="another salt gives other changes")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-found"))
    chosen = parser.parse_args(arguments)
    names = sorted(seeds())
    each, tally, step = -(-chosen.cases // len(names)), Tally(), 20
    with ProcessPoolExecutor(chosen.jobs) as pool:
        futures = [
            pool.submit(run, [name], first, min(step, each - first), salt=chosen.salt)
            for first in range(0, each, step)
            for name in names
        ]
        for future in futures:
            part = future.result()
            keep(part, chosen.keep)
            tally.add(part)
    reasons = Counter(why.splitlines()[0] for _, why, _ in tally.found)
    line = {"cases": tally.cases, "found": len(tally.found), "reasons": dict(reasons.most_common(20))}
    print(json.dumps({**line, "slowest_s": round(tally.slowest, 2), "answers": dict(tally.answers.most_common())}))
    sys.stdout.flush()
    return 1 if tally.found else 0


if __name__ == "__main__":
    raise SystemExit(main())
