"""The key of a run is looked at, checked and unlocked in this order, and each once (signing.md 2)."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest

from signer.algorithms import Scheme
from signer.credential import Credential, LockedKey
from signer.devpki import DevIdentity, DevPki, Subject
from signer.errors import SignerError
from signer.trust import Context
from tests.console.conftest import Edoc
from transport import settings
from transport.desk.checkedkey import CheckedKey, KeyRefused, KeyRules
from transport.desk.console import Console
from transport.desk.keys import Held


@pytest.fixture
def rsa(pki: DevPki) -> DevIdentity:
    """A clerk with a key as state tokens hold it."""
    from signer.credential import Role

    return pki.issue(Role.PERSON, Subject("Trần Thị Mẫu", organization="Sở Mẫu A"), key_type="rsa2048")


@pytest.fixture
def key_of(edoc: Edoc, context: Context, rsa: DevIdentity) -> Callable[..., tuple[CheckedKey, list[str]]]:
    """Hold a token's key: what it shows, the profile asked for, and how often its PIN was asked."""

    def made(shown: frozenset[Scheme] | None, profile: str = "interop") -> tuple[CheckedKey, list[str]]:
        asked: list[str] = []

        def opening() -> Credential:
            asked.append("PIN")
            return rsa.credential

        visible = replace(rsa.credential, port=LockedKey(), schemes=shown)
        found = settings.load(home=edoc.home, config=None, environ={}, overrides={})
        rules = KeyRules(Console((), {}), found, context, profile)
        held = Held("pkcs11:token=van-thu", "token", opening, visible=visible)
        return CheckedKey(held, rules, lambda _: None), asked

    return made


def test_a_batch_is_signed_with_one_pin(key_of: Callable[..., tuple[CheckedKey, list[str]]]) -> None:
    key, asked = key_of(None)
    assert asked == []
    for number in range(3):
        key.credential.sign(hashlib.sha256(bytes([number])).digest(), Scheme.RSA_PKCS1_SHA256)
    assert asked == ["PIN"]


def test_a_token_without_pss_is_refused_for_the_strict_profile_before_its_pin_is_asked(
    key_of: Callable[..., tuple[CheckedKey, list[str]]],
) -> None:
    key, asked = key_of(frozenset({Scheme.RSA_PKCS1_SHA256}), "strict")
    with pytest.raises(KeyRefused) as caught:
        key.checked()
    assert isinstance(caught.value.error, SignerError)
    assert (caught.value.error.code, asked) == ("EDOC-KEY-027", [])


def test_a_certificate_that_has_ended_is_refused_before_the_pin_is_asked(
    key_of: Callable[..., tuple[CheckedKey, list[str]]], context: Context, now: datetime
) -> None:
    key, asked = key_of(None)
    key._rules = replace(key._rules, context=replace(context, at=now.replace(year=now.year + 30)))
    with pytest.raises(KeyRefused) as caught:
        key.credential.sign(bytes(32), Scheme.RSA_PKCS1_SHA256)
    assert isinstance(caught.value.error, SignerError)
    assert (caught.value.error.code, asked) == ("EDOC-KEY-004", [])
