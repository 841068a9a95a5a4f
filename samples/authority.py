"""The authority and the keys of the samples: made once, kept in ``samples/pki``, for tests and demonstration only.

Every subject carries «THỬ NGHIỆM» and every key file says so: these keys are public, nothing signed with them proves
anything. They are RSA keys, so that revocation lists come out the same, byte for byte, whenever they are made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from signer.credential import Credential, Role, load_pem
from signer.devpki import DevPki, Subject

PKI = Path(__file__).resolve().parent / "pki"
CREATED = datetime(2026, 11, 2, tzinfo=UTC)
LISTED = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
"""When the revocation lists of the samples were made; they are good for seven days."""

NOTE = "THỬ NGHIỆM - khóa công khai, không dùng để ký thật. TEST KEY, published on purpose, protects nothing.\n"
KEY_TYPE = "rsa2048"
AUTHORITY = ("root.pem", "issuing.pem", "ocsp.pem", "tsa.pem")
ORGANS = {"H99.01": "Sở Mẫu A", "H99.02": "Sở Mẫu B"}
ROLES = (Role.PERSON, Role.AGENCY, Role.EXCHANGE)


def authority() -> DevPki:
    """Return the samples' authority; its keys are made if the folder has none."""
    if not all((PKI / name).is_file() for name in AUTHORITY):
        _save(DevPki.create(at=CREATED, key_type=KEY_TYPE).save())
    files = {name: (PKI / name).read_bytes() for name in AUTHORITY}
    return DevPki.load({**files, "base-url.txt": b"", "revoked.txt": b""})


def _save(files: Mapping[str, bytes]) -> None:
    PKI.mkdir(parents=True, exist_ok=True)
    for name in AUTHORITY:
        (PKI / name).write_bytes(NOTE.encode() + files[name])


@dataclass(frozen=True, slots=True)
class Held:
    """A key of the samples: the credential, and the file it is in."""

    credential: Credential
    pem: bytes


def keys(pki: DevPki) -> dict[str, dict[str, Held]]:
    """Return the keys of both agencies by code and role; those without a file are made."""
    return {code: {role.value: _held(pki, code, role) for role in ROLES} for code in ORGANS}


def _held(pki: DevPki, code: str, role: Role) -> Held:
    path = PKI / f"{code}-{role.value}.pem"
    if not path.is_file():
        path.write_bytes(NOTE.encode() + pki.issue(role, _subject(code, role), key_type=KEY_TYPE).pem)
    data = path.read_bytes()
    return Held(load_pem(data, role=role), data)


def _subject(code: str, role: Role) -> Subject:
    name = ORGANS[code]
    if role is Role.PERSON:
        return Subject("Nguyễn Văn Mẫu", organization=name, title="Phó Giám đốc")
    return Subject(name, organization=name, tax_number=f"01000000{code[-2:]}")
