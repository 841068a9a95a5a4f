"""Which digests, signature schemes and key sizes are accepted: dated data, judged at the proved time (signing.md 1.4).

The table is ``algorithms.toml`` beside this file. ``strict`` is Annex I of Circular 15/2025/TT-BKHCN, ``interop`` adds
what state tokens write today; ``integrity-only`` judges nothing. Old algorithms are never accepted, but they are
computed, so that integrity is known all the same.
"""

from __future__ import annotations

import hashlib
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


USES = frozenset({"signature", "certificate", "timestamp", "status", "reference"})
"""What an algorithm can be used for: signatures, certificates, time stamps, status answers, digests of references."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the table: accepted by which policies, for what, from which key size, since and until when."""

    interop: bool
    strict: bool
    min_bits: int = 0
    uses: frozenset[str] = USES
    since: datetime | None = None  # first moment at which it holds
    until: datetime | None = None  # first moment at which it holds no longer


@dataclass(frozen=True, slots=True)
class AlgorithmTable:
    """The algorithm policy as data: name, edition, digest of its text, and the entries for digests and signatures."""

    name: str
    edition: str
    sha256: str
    digests: Mapping[str, Entry]
    signatures: Mapping[str, Entry]


def load_table(text: str) -> AlgorithmTable:
    """Read an algorithm table (TOML, the form of ``algorithms.toml``): whole or not at all.

    Raises:
        ValueError: the text is not such a table.
    """
    data = tomllib.loads(text)
    if set(data) != {"name", "edition", "digest", "signature"}:
        raise ValueError("an algorithm table has name, edition, digest and signature, and nothing else")
    digests, signatures = _entries(data["digest"]), _entries(data["signature"])
    sha256 = hashlib.sha256(text.encode("utf-8")).hexdigest()
    return AlgorithmTable(str(data["name"]), str(data["edition"]), sha256, digests, signatures)


def _entries(section: object) -> Mapping[str, Entry]:
    if not isinstance(section, dict):
        raise ValueError("digest and signature are tables of entries")
    return {str(name): _entry(str(name), values) for name, values in section.items()}


def _entry(name: str, values: object) -> Entry:
    known = {"interop", "strict", "min_bits", "uses", "from", "until"}
    if not isinstance(values, dict) or not {"interop", "strict"} <= set(values) <= known:
        raise ValueError(f"{name}: an entry has interop and strict, and of min_bits, uses, from, until what it needs")
    bits, uses = values.get("min_bits", 0), frozenset(values.get("uses", USES))
    if not isinstance(bits, int) or not uses <= USES or not all(type(values[k]) is bool for k in ("interop", "strict")):
        raise ValueError(f"{name}: min_bits is a number, uses are some of {sorted(USES)}, policies are true or false")
    since, until = (_moment(name, values.get(key)) for key in ("from", "until"))
    return Entry(values["interop"], values["strict"], bits, uses, since, until)


def _moment(name: str, value: object) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError(f"{name}: from and until are date-times with an offset")
    return value.astimezone(UTC)


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
    *,
    policy: PolicyName,
    signature: str,
    digest: str,
    bits: int,
    at: datetime,
    use: str = "signature",
    table: AlgorithmTable | None = None,
) -> AlgorithmVerdict:
    """Judge one signature's algorithms at a time, for a use.

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
        if entry is None or not _accepts(entry, policy, use) or size < entry.min_bits:
            return AlgorithmVerdict(Code.CRYPTO_CONSTRAINTS_FAILURE, shown, tt15)
        if entry.since is not None and at < entry.since:
            return AlgorithmVerdict(Code.CRYPTO_CONSTRAINTS_FAILURE, shown, tt15)
        if entry.until is not None and at >= entry.until:
            return AlgorithmVerdict(Code.CRYPTO_CONSTRAINTS_FAILURE_NO_POE, shown, tt15, entry.until)
    return AlgorithmVerdict(None, signature or digest, tt15)


def _accepts(entry: Entry, policy: PolicyName, use: str) -> bool:
    return use in entry.uses and (entry.strict if policy is PolicyName.STRICT else entry.interop)
