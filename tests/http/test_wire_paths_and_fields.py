"""Paths and header fields of the exchange: one spelling each, exact inverses, bounded (exchange.md 3)."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.dispatch import Key
from transport.http import wire
from transport.store.values import LedgerRef

CODES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=64)
HEXES = st.binary(min_size=32, max_size=32).map(bytes.hex)


@given(CODES, CODES, st.uuids(), st.sampled_from(["", "/receipt", "/content"]))
def test_a_path_names_its_key_and_nothing_else(sender: str, recipient: str, number: uuid.UUID, suffix: str) -> None:
    key = Key(sender, recipient, str(number))
    assert wire.key_of(wire.path_of(key, suffix)) == (key, suffix)


@pytest.mark.parametrize(
    "path",
    [
        "/exchange/v1/to/H99.02/from/H99.01/6F1D2C9A-8F57-4F0E-B0A5-90D3C1B7E2F4",
        "/exchange/v1/to/H99%2E02/from/H99.01/6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4",
        "/exchange/v1/to/H99.02/from/H99.01/6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4/",
        "/exchange/v1/to/H99.02/from/../6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4/../x",
        "/exchange/v2/to/H99.02/from/H99.01/6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4",
        "/exchange/v1/to/H99.02/from/H%ff/6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4",
        "/exchange/v1/to//from/H99.01/6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4",
        "/exchange/v1/to/H99.02/from/H99.01/6f1d2c9a8f574f0eb0a590d3c1b7e2f4",
    ],
)
def test_a_second_spelling_of_a_path_names_no_message(path: str) -> None:
    assert wire.key_of(path) is None


@given(HEXES)
def test_content_digest_reads_back(digest: str) -> None:
    assert wire.parse_digest(wire.format_digest(digest)) == digest


@pytest.mark.parametrize(
    "value",
    [
        "sha-256=:AAAA:",
        "sha-512=:AAAA:",
        "sha-256=abc",
        "",
        "sha-256=:" + "A" * 44 + ":",
        "sha-256=:" + "A" * 43 + "=:, sha-256=:" + "B" * 43 + "=:",
    ],
)
def test_a_digest_field_out_of_form_is_refused(value: str) -> None:
    with pytest.raises(ValueError):
        wire.parse_digest(value)


@given(st.from_regex(r"[a-z0-9.-]{1,40}/edoc-ledger/2026", fullmatch=True), st.integers(0, 10**15 - 1), HEXES)
def test_edoc_ledger_reads_back(origin: str, index: int, leaf: str) -> None:
    ref = LedgerRef(origin, index, leaf)
    assert wire.parse_ledger(wire.format_ledger(ref)) == ref


def test_edoc_ledger_has_the_spelling_of_the_specification() -> None:
    ref = LedgerRef("soa.example/edoc-ledger/2026", 41, "00" * 32)
    assert wire.format_ledger(ref) == (
        'origin="soa.example/edoc-ledger/2026", index=41, leaf=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:'
    )


@pytest.mark.parametrize(
    "value", ["", 'origin="x"', 'origin="x", index=-1, leaf=:AAAA:', "origin=x, index=1", "\u00e9"]
)
def test_edoc_ledger_out_of_form_is_refused(value: str) -> None:
    with pytest.raises(ValueError):
        wire.parse_ledger(value)


@given(st.lists(st.tuples(st.integers(0, 10**15 - 1), HEXES), min_size=1, max_size=3))
def test_edoc_heads_read_back(heads: list[tuple[int, str]]) -> None:
    refs = tuple(wire.HeadRef(f"h{n}/edoc-ledger/2026", size, root) for n, (size, root) in enumerate(heads))
    assert wire.parse_heads(wire.format_heads(refs)) == refs


def test_four_heads_are_too_many() -> None:
    one = wire.HeadRef("h/edoc-ledger/2026", 1, "00" * 32)
    value = ", ".join([wire.format_heads([one])] * 4)
    with pytest.raises(ValueError):
        wire.parse_heads(value)


@pytest.mark.parametrize("value", ["application/vnd.edoc.message+xml;v=1", 'Application/vnd.edoc.message+XML; v="1"'])
def test_a_media_type_may_be_spelled_with_other_blanks_and_case(value: str) -> None:
    assert wire.media_type(value) == wire.MESSAGE_TYPE


@pytest.mark.parametrize("value", [None, "", "text/xml", "application/vnd.edoc.message+xml; v=2"])
def test_another_media_type_is_not_ours(value: str | None) -> None:
    assert wire.media_type(value) is None
