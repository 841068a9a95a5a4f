"""Key statements: the agency's certificate binds the log key, a leaf of the log binds the statement."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signer.devpki import DevIdentity
from signer.errors import NotVerified, SignerError
from signer.trust import Context, TrustStore
from tests.ledger.conftest import ORIGIN, hexed
from transport.errors import LedgerError
from transport.ledger import event, statement
from transport.ledger.keys import COSIGNATURE, LogKey, VerifierKey
from transport.ledger.statement import LogEntry, Statement, StatementInvalid, Withdrawal, WitnessEntry

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
KEY = LogKey.from_seed(ORIGIN, bytes(range(32)))
LOG = LogEntry(ORIGIN, KEY.vkey, START, END, f"https://{ORIGIN}/")
WITNESS_KEY = VerifierKey("sob.example/witness", COSIGNATURE, KEY.verifier.key)
WITNESS = WitnessEntry(
    "sob.example/witness", str(WITNESS_KEY), START, END, "https://sob.example/witness/add-checkpoint"
)
GONE = Withdrawal(KEY.vkey, START, 7, bytes(32), "key-lost")
FIRST = Statement(1, START, "H99.01", "Sở Mẫu A", (LOG,))
FULL = replace(FIRST, serial=2, previous=hexed("before"), witnesses=(WITNESS,), withdrawn=(GONE,))


@pytest.mark.parametrize("stated", [FIRST, FULL])
def test_a_statement_is_read_as_it_was_written_and_verifies(
    agency: DevIdentity, context: Context, stated: Statement
) -> None:
    issued = replace(stated, issued=context.at.replace(microsecond=0) - timedelta(days=1))
    data = statement.sign(issued, credential=agency.credential)
    assert statement.parse(data) == issued
    verified = statement.verify(data, context=context)
    assert (verified.statement, verified.sha256) == (issued, sha256(data).hexdigest())
    assert verified.certificate == agency.certificate


def test_a_statement_without_trust_is_not_verified(agency: DevIdentity, context: Context) -> None:
    data = statement.sign(FIRST, credential=agency.credential)
    with pytest.raises(NotVerified):
        statement.verify(data, context=replace(context, trust=TrustStore()))


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_statement_with_any_byte_changed_never_verifies(
    agency: DevIdentity, context: Context, data: st.DataObject
) -> None:
    signed = bytearray(_signed(agency, context))
    at = data.draw(st.integers(0, len(signed) - 1))
    signed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises((SignerError, LedgerError)):
        statement.verify(bytes(signed), context=context)


_CACHE: dict[str, bytes] = {}


def _signed(agency: DevIdentity, context: Context) -> bytes:
    if "signed" not in _CACHE:
        issued = replace(FULL, issued=context.at.replace(microsecond=0) - timedelta(days=1))
        _CACHE["signed"] = statement.sign(issued, credential=agency.credential)
    return _CACHE["signed"]


@pytest.mark.parametrize(
    "change",
    [
        {"serial": 0},
        {"serial": 2},
        {"previous": hexed("before")},
        {"agency_code": "H99 01"},
        {"agency_name": ""},
        {"agency_name": " Sở Mẫu A"},
        {"logs": ()},
        {"logs": (replace(LOG, origin="other.example/edoc-ledger/2026"),)},
        {"logs": (replace(LOG, not_after=START),)},
        {"logs": (replace(LOG, url="ftp://x"),)},
        {"logs": (replace(LOG, vkey=KEY.vkey.replace("+1", "+2")),)},
        {"withdrawn": (replace(GONE, last_root=b""),)},
        {"withdrawn": (replace(GONE, reason="Lost it"),)},
    ],
)
def test_a_statement_outside_its_form_cannot_be_made(change: dict[str, object]) -> None:
    with pytest.raises(LedgerError):
        replace(FIRST, **change)  # type: ignore[arg-type]  # wrong values on purpose


def test_a_statement_in_another_spelling_is_refused(agency: DevIdentity) -> None:
    data = statement.sign(FIRST, credential=agency.credential)
    for old, new in (
        (b"<LedgerKeys ", b"<LedgerKeys  "),
        (b'serial="1"', b'serial="01"'),
        (b"<Agency ", b"<!-- --><Agency "),
        (b"</Agency>", b"</Agency>\n"),
        (b"?>\n", b'?>\n<!DOCTYPE LedgerKeys [<!ENTITY x "y">]>'),
    ):
        assert old in data
        with pytest.raises(StatementInvalid):
            statement.parse(data.replace(old, new, 1))


def test_only_a_leaf_that_names_the_statement_binds_the_log_to_it() -> None:
    facts: dict[str, event.Value] = {"at": START, "auto": True, "rtype": "statement", "receipt": hexed("keys.xml")}
    leaf = event.parse(event.build("log-opened", {**facts, "reason": "first"}))
    assert statement.binds(leaf, hexed("keys.xml"))
    assert not statement.binds(leaf, hexed("somebody else's keys.xml"))
    other: dict[str, event.Value] = {"at": START, "auto": True, "rtype": "record", "receipt": hexed("keys.xml")}
    operation = event.parse(event.build("operation", {**other, "action": "x", "result": "ok"}))
    assert not statement.binds(operation, hexed("keys.xml"))


def test_a_key_is_in_force_from_its_first_to_its_last_second() -> None:
    assert LOG.in_force(START)
    assert LOG.in_force(END)
    assert not LOG.in_force(START - timedelta(seconds=1))
    assert not LOG.in_force(END + timedelta(seconds=1))
    assert FIRST.log(ORIGIN) == LOG
    assert FIRST.log("other") is None
    assert FULL.withdrawal(KEY.vkey) == GONE
