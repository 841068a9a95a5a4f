"""Bombs of up to 16 MiB are refused as messages within 64 MiB of memory (exchange.md 11, 16 F13)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import resource, sys
from datetime import UTC, datetime
from edoc import seal
from edoc.errors import SealRefused
from signer.algorithms import PolicyName
from signer.devpki import DevPki
from signer.trust import Context

now = datetime(2026, 11, 25, tzinfo=UTC)
pki = DevPki.create(at=now)
context = Context(trust=pki.trust(at=now), at=now, policy=PolicyName.INTEROP)
data = eval(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    seal.unseal(data, context=context)
    word = "accepted"
except SealRefused as refused:
    word = refused.reason
print(word, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""

BOMBS = {
    "attributes of one element": """b"<a " + b" ".join(b"a%d='1'" % n for n in range(900_000)) + b"/>" """,
    "as many as pass the first look": """b"<a " + b" ".join(b"a%d='1'" % n for n in range(90_000)) + b"/>" """,
    "namespaces": """b"<a " + b" ".join(b"xmlns:a%d='u:1'" % n for n in range(700_000)) + b"/>" """,
    "elements": """b"<a>" + b"<b/>" * 3_000_000 + b"</a>" """,
    "with attributes": """b"<a>" + (b"<b" + b"".join(b" a%d='1'" % n for n in range(32)) + b"/>") * 60000 + b"</a>" """,
    "comments": """b"<a>" + b"<!---->" * 2_000_000 + b"</a>" """,
    "instructions": """b"<a>" + b"<?a?>" * 3_000_000 + b"</a>" """,
    "references": """b"<a>" + b"&#65;" * 3_000_000 + b"</a>" """,
    "sections": """b"<a>" + b"<![CDATA[x]]>y" * 1_000_000 + b"</a>" """,
    "depth": """b"<a>" * 2_000_000 + b"</a>" * 2_000_000 """,
    "entities": """b'<!DOCTYPE a [<!ENTITY x "y">' + b'<!ENTITY z "&x;&x;">' * 100_000 + b']><a>&z;</a>' """,
    "one long text": """b"<a>" + b"x" * 16_000_000 + b"</a>" """,
    "text that is no base64": """b"<a>" + b"x " * 1_900_000 + b"</a>" """,
}


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux counts it")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_and_memory_stays_within_64_mib(name: str) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, BOMBS[name].strip()],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    word, grown = done.stdout.split()
    assert word in ("limits", "not-edxml")
    assert int(grown) < 64
