"""What the tests of CMS share: people with keys of several kinds, contexts with content, openssl in a folder."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, Subject, pem
from signer.trust import Content, Context

CONTENT = "Quyết định số 15, trang 1.\n".encode() * 40

Openssl = Callable[..., bytes]


@pytest.fixture(scope="session")
def rsa(pki: DevPki) -> DevIdentity:
    """A person with an RSA key."""
    return pki.issue(Role.PERSON, Subject("Trần Thị Mẫu"), key_type="rsa2048")


@pytest.fixture(scope="session")
def second(pki: DevPki) -> DevIdentity:
    """Another person."""
    return pki.issue(Role.PERSON, Subject("Lê Văn Mẫu"))


@pytest.fixture(scope="session")
def content() -> bytes:
    """What is signed."""
    return CONTENT


@pytest.fixture(scope="session")
def over(context: Context, content: bytes) -> Context:
    """A judgement that has the content at hand."""
    return replace(context, contents=(Content("", content),))


@pytest.fixture
def openssl(tmp_path: Path, person: DevIdentity, rsa: DevIdentity, second: DevIdentity, pki: DevPki) -> Openssl:
    """Run openssl in a folder with content, keys and certificates, and return what it writes."""
    (tmp_path / "content").write_bytes(CONTENT)
    (tmp_path / "other").write_bytes(CONTENT + b"!")
    (tmp_path / "root.pem").write_bytes(pem(pki.root.certificate))
    (tmp_path / "chain.pem").write_bytes(pem(pki.issuing.certificate))
    for name, one in (("ec", person), ("rsa", rsa), ("second", second)):
        (tmp_path / f"{name}.pem").write_bytes(one.pem)

    def run(*arguments: str, given: bytes = b"", fails: bool = False) -> bytes:
        (tmp_path / "given").write_bytes(given)
        done = subprocess.run(["openssl", *arguments], cwd=tmp_path, capture_output=True, timeout=60, check=False)
        assert (done.returncode != 0) == fails, done.stderr.decode()
        return done.stdout

    return run
