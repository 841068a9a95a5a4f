"""A signature reduced to what the judgement sees of it: bytes found intact, a certificate, perhaps time stamps."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from signer.cms import describe
from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, DevTimestamper, Subject
from signer.judge import Facts, Stamp
from signer.report import Algorithm, Covers, Crypto, Integrity
from signer.timestamp import obtain

VALUE = b"the signature value"


def _facts(identity: DevIdentity, *, stamps: tuple[Stamp, ...] = ()) -> Facts:
    key = identity.credential.public_key
    scheme = {"RSA": "rsassa_pkcs1v15", "EC": "ecdsa"}[identity.credential.key_type]
    algorithm: Algorithm = describe(key, scheme, "sha256")
    return Facts(
        id="sig",
        crypto=Crypto.OK,
        integrity=Integrity.INTACT,
        covers=Covers.WHOLE,
        level="XAdES-B-B",
        certificate=identity.certificate,
        algorithm=algorithm,
        candidates=identity.chain,
        stamps=stamps,
        value_sha256=hashlib.sha256(VALUE).hexdigest(),
    )


@pytest.fixture(scope="session")
def facts_of() -> Callable[..., Facts]:
    """Facts of an intact signature by an identity, with time stamps as given."""
    return _facts


@pytest.fixture(scope="session")
def stamp_at() -> Callable[[DevPki, datetime], Stamp]:
    """A time stamp over the signature value, by an authority, at a moment."""

    def make(pki: DevPki, at: datetime) -> Stamp:
        token = obtain(DevTimestamper(pki, lambda: at), hashlib.sha256(VALUE).digest())
        return Stamp("ts-0", "signature", token, VALUE)

    return make


@pytest.fixture(scope="session")
def listed(now: datetime) -> DevPki:
    """An authority whose certificates name their status sources."""
    return DevPki.create(at=now - timedelta(days=30), base_url="http://127.0.0.1:9")


@pytest.fixture(scope="session")
def clerk(listed: DevPki) -> DevIdentity:
    """A person whose certificate names its status sources."""
    return listed.issue(Role.PERSON, Subject("Trần Thị Mẫu", organization="Sở Mẫu A"))


@pytest.fixture
def own(listed: DevPki) -> DevPki:
    """The same authority, with its own list of revoked certificates, so that a test may revoke."""
    return replace(listed, revoked={})
