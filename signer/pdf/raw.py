"""Signatures of a file that cannot be read: its bytes still show them; none is called good (signing.md 1.1, G4)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from signer import asn1
from signer.judge import Facts
from signer.pdf.mathematics import Candidates, Prefixes, Ranges, check
from signer.report import Code, Covers, Crypto, Integrity, Reason
from signer.trust import Limits

_RAW = re.compile(
    rb"/ByteRange\s{0,16}\[\s{0,16}(\d{1,12})\s{1,16}(\d{1,12})\s{1,16}(\d{1,12})\s{1,16}(\d{1,12})\s{0,64}\]"
)
_SPACE = b"\0\t\n\f\r "


def raw_signatures(
    data: bytes, limits: Limits, why: Reason, *, start: int = 0, known: Sequence[tuple[int, int]] = ()
) -> list[Facts]:
    """List what looks like a signature from ``start`` on: broken if its digest differs, else unknown as ``why`` says.

    Those that stand within ``known`` are listed already.
    """
    facts: list[Facts] = []
    for match in _RAW.finditer(data, start):
        if len(facts) >= limits.signatures:
            break
        if any(begin <= match.start() < end for begin, end in known):
            continue
        zero, a, b, c = (int(part) for part in match.groups())
        wrong = zero != 0 or not 0 < a < b or c <= 0 or b + c > len(data)
        reasons: tuple[Reason, ...] = (Reason(Code.FORMAT_FAILURE), Reason(Code.BYTE_RANGE_INVALID, {"rule": "C1"}))
        if not wrong:
            wrong = _differs(data, (a, b, b + c))
            reasons = (Reason(Code.HASH_FAILURE, {"part": "content"}),)
        if not wrong:
            reasons = (Reason(Code.CRYPTO_CONSTRAINTS_FAILURE), why)
        crypto, integrity = (Crypto.BAD, Integrity.BROKEN) if wrong else (Crypto.UNKNOWN, Integrity.UNKNOWN)
        name = f"@{match.start()}"
        facts.append(Facts(name, crypto, integrity, Covers.PARTIAL, "PDF-PKCS7", None, structural=reasons))
    return facts


def _differs(data: bytes, numbers: tuple[int, int, int]) -> bool:
    """Say whether the value in the gap is not over the ranges, as far as that can be computed."""
    a, b, end = numbers
    try:
        contents = bytes.fromhex(data[a:b].translate(None, _SPACE).strip(b"<>").decode("ascii"))
        signed = asn1.read_signed_data(contents)
    except ValueError:
        return True
    ranges = Ranges(Prefixes(data), (0, a), (b, end))
    found = [check(one, signed, ranges, kind="", candidates=Candidates()) for one in signed.signers]
    return not found or any(one.crypto is Crypto.BAD for one in found)
