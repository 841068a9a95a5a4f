"""Which digests, signature schemes and key sizes are accepted: dated data, judged at the proved time (signing.md 1.4).

The table is ``algorithms.toml`` beside this file. ``strict`` is Annex I of Circular 15/2025/TT-BKHCN, ``interop`` adds
what state tokens write today; ``integrity-only`` judges nothing. Old algorithms are never accepted, but they are
computed, so that integrity is known all the same.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from importlib import resources

from signer.report import Code


class PolicyName(StrEnum):
    """The three policies of console.md 5.4."""

    STRICT = "strict"
    INTEROP = "interop"
    INTEGRITY_ONLY = "integrity-only"


class Scheme(StrEnum):
    """A signature scheme with its digest, as a key is asked for it."""

    RSA_PKCS1_SHA256 = "rsa-pkcs1-sha256"
    RSA_PKCS1_SHA384 = "rsa-pkcs1-sha384"
    RSA_PKCS1_SHA512 = "rsa-pkcs1-sha512"
    RSA_PSS_SHA256 = "rsa-pss-sha256"
    RSA_PSS_SHA384 = "rsa-pss-sha384"
    RSA_PSS_SHA512 = "rsa-pss-sha512"
    ECDSA_SHA256 = "ecdsa-sha256"
    ECDSA_SHA384 = "ecdsa-sha384"
    ECDSA_SHA512 = "ecdsa-sha512"
    ED25519 = "ed25519"

    @property
    def digest(self) -> str:
        """Name of the digest in the form of ``hashlib``; Ed25519 hashes by itself, with SHA-512."""
        return "sha512" if self is Scheme.ED25519 else self.value.rpartition("-")[2]

    @property
    def family(self) -> str:
        """Name of the signature algorithm as reports write it (console.md 5.2)."""
        names = {"rsa-pkcs1": "RSASSA-PKCS1-v1_5", "rsa-pss": "RSASSA-PSS", "ecdsa": "ECDSA", "ed25519": "Ed25519"}
        return names[self.value.rpartition("-")[0] or self.value]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the table: accepted by which policies, from which key size, until when."""

    interop: bool
    strict: bool
    min_bits: int
    until: datetime | None


@dataclass(frozen=True, slots=True)
class AlgorithmTable:
    """The algorithm policy as data: its name and edition, and the entries for digests and signatures."""

    name: str
    edition: str
    digests: Mapping[str, Entry]
    signatures: Mapping[str, Entry]


def load_table(text: str) -> AlgorithmTable:
    """Read an algorithm table (TOML, the form of ``algorithms.toml``).

    Raises:
        ValueError: the text is not such a table.
    """
    data = tomllib.loads(text)
    return AlgorithmTable(
        str(data["name"]), str(data["edition"]), _entries(data["digest"]), _entries(data["signature"])
    )


def _entries(section: Mapping[str, Mapping[str, object]]) -> Mapping[str, Entry]:
    entries = {}
    for name, values in section.items():
        until = values.get("until")
        if until is not None and not isinstance(until, datetime):
            raise ValueError(f"{name}: until must be a date-time")
        bits = values.get("min_bits", 0)
        assert isinstance(bits, int)
        entries[name] = Entry(
            bool(values["interop"]), bool(values["strict"]), bits, until.astimezone(UTC) if until else None
        )
    return entries


@cache
def built_in() -> AlgorithmTable:
    """Return the table that ships with the package."""
    return load_table(resources.files("signer").joinpath("algorithms.toml").read_text("utf-8"))


def scheme_for(key: str, *, bits: int, profile: str) -> Scheme:
    """Return the scheme to sign with (R34): SHA-256, and SHA-384 for P-384 and RSA of 4096 bits or more.

    ``key`` is ``RSA`` or ``EC``; ``profile`` is ``interop`` (PKCS#1 v1.5 for RSA, what tokens do) or ``strict`` (PSS).

    Raises:
        ValueError: no scheme of the profile fits such a key.
    """
    if key == "RSA" and bits >= 2048:
        digest = "sha384" if bits >= 4096 else "sha256"
        return Scheme(f"rsa-{'pss' if profile == 'strict' else 'pkcs1'}-{digest}")
    if key == "EC" and bits >= 256:
        return Scheme("ecdsa-sha512" if bits > 384 else "ecdsa-sha384" if bits == 384 else "ecdsa-sha256")
    if key == "Ed25519" and profile == "interop":
        return Scheme.ED25519
    raise ValueError(f"no signature scheme for {key} of {bits} bits in profile {profile}")


@dataclass(frozen=True, slots=True)
class AlgorithmVerdict:
    """What the table says: the code that holds against the algorithm, its name, and whether Annex I is met."""

    code: Code | None
    algorithm: str
    tt15: bool
    ended: datetime | None = None


def judge(
    *, policy: PolicyName, signature: str, digest: str, bits: int, at: datetime, table: AlgorithmTable | None = None
) -> AlgorithmVerdict:
    """Judge one signature's algorithms at a time.

    ``signature`` and ``digest`` are names as in the table; an empty ``signature`` judges the digest alone.
    """
    rules = table or built_in()
    found = [(digest, rules.digests.get(digest), 0)]
    if signature:
        found.append((signature, rules.signatures.get(signature), bits))
    tt15 = all(entry is not None and entry.strict and size >= entry.min_bits for _, entry, size in found)
    if policy is PolicyName.INTEGRITY_ONLY:
        return AlgorithmVerdict(None, signature or digest, tt15)
    for name, entry, size in found:
        shown = f"{name} {size}" if size else name
        accepted = entry is not None and (entry.strict if policy is PolicyName.STRICT else entry.interop)
        if entry is None or not accepted or size < entry.min_bits:
            return AlgorithmVerdict(Code.CRYPTO_CONSTRAINTS_FAILURE, shown, tt15)
        if entry.until is not None and at >= entry.until:
            return AlgorithmVerdict(Code.CRYPTO_CONSTRAINTS_FAILURE_NO_POE, shown, tt15, entry.until)
    return AlgorithmVerdict(None, signature or digest, tt15)
