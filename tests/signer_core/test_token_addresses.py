"""Addresses of tokens (RFC 7512): read whole or refused, and never with a PIN in them (console.md 1, "Secrets")."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signer.errors import CredentialError
from signer.tokenuri import TokenUri, is_token_uri, parse


def test_an_address_names_token_key_and_library() -> None:
    """The attributes of RFC 7512, percent-decoded; the id is bytes."""
    found = parse(
        "pkcs11:token=V%C4%83n%20th%C6%B0;serial=0123;object=ky-so;id=%01%FF;type=private;slot-id=7"
        "?module-path=/usr/lib/x.so&pin-source=file:/run/edoc/pin"
    )
    assert found == TokenUri(
        token="Văn thư",
        serial="0123",
        object="ky-so",
        id=b"\x01\xff",
        slot_id=7,
        module="/usr/lib/x.so",
        pin_file="/run/edoc/pin",
    )
    assert parse("PKCS11:token=a").token == "a"
    assert parse("pkcs11:").token is None


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("pkcs11:token=a?pin-value=MARKER", "EDOC-KEY-019"),
        ("pkcs11:token=a;pin-value=MARKER", "EDOC-KEY-019"),
        ("pkcs11:token=a?pin-source=|echo%20MARKER", "EDOC-KEY-018"),
        ("pkcs11:token=a?pin-source=file:relative", "EDOC-KEY-018"),
        ("pkcs11:token=a?pin-source=https://MARKER/", "EDOC-KEY-018"),
        ("pkcs11:token=a?module-name=opensc", "EDOC-KEY-018"),
        ("pkcs11:token=a?module-path=x.so", "EDOC-KEY-018"),
        ("pkcs11:token=a;token=b", "EDOC-KEY-018"),
        ("pkcs11:tokne=a", "EDOC-KEY-018"),
        ("pkcs11:token", "EDOC-KEY-018"),
        ("pkcs11:token=%zz", "EDOC-KEY-018"),
        ("pkcs11:token=%FF", "EDOC-KEY-018"),
        ("pkcs11:token=a%0Ab", "EDOC-KEY-018"),
        ("pkcs11:token=a b", "EDOC-KEY-018"),
        ("pkcs11:slot-id=-1", "EDOC-KEY-018"),
        ("pkcs11:type=secret-key", "EDOC-KEY-018"),
        ("pkcs11:" + "x" * 3000, "EDOC-KEY-018"),
        ("file:/etc/passwd", "EDOC-KEY-018"),
    ],
)
def test_what_is_no_such_address_is_refused_without_repeating_it(address: str, code: str) -> None:
    """A PIN in it is refused with its own code; no value is repeated, because it may be one."""
    with pytest.raises(CredentialError) as caught:
        parse(address)
    assert caught.value.code == code
    assert "MARKER" not in f"{caught.value} {caught.value.facts}"


NAME = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=20)


@given(token=NAME, label=st.none() | NAME, id=st.none() | st.binary(min_size=1, max_size=20))
def test_what_is_written_is_read_back(token: str, label: str | None, id: bytes | None) -> None:
    """An address that is stored means the same token and key afterwards."""
    wanted = TokenUri(token=token, object=label, id=id)
    assert parse(str(wanted)) == wanted
    assert is_token_uri(str(wanted))


@given(st.text(max_size=80))
def test_any_text_is_an_address_or_refused_with_our_error(text: str) -> None:
    """Nothing else leaves the reader."""
    try:
        found = parse(f"pkcs11:{text}")
    except CredentialError:
        return
    assert found.pin_file is None or found.pin_file.startswith("/")
