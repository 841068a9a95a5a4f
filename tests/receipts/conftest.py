"""Fixtures of receipts: one good receipt, issued by agency B about a message of agency A."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

import pytest

from signer.devpki import DevIdentity
from transport.dispatch import Key
from transport.receipts import ACCEPTANCE, AttachmentDigest, Expected, Issuer, Receipt, issue

K = Key("H99.01", "H99.02", "6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4")
MESSAGE = b"the sealed message as it was transferred"


@pytest.fixture(scope="session")
def receipt(now: datetime) -> Receipt:
    """The receipt of exchange.md 5, filled in."""
    digest = hashlib.sha256(MESSAGE).hexdigest()
    return Receipt(
        receipt_id="0b0c7f0e-3b0e-4a51-9a53-2f4c6d0b7a11",
        event=ACCEPTANCE,
        issuer=Issuer("H99.02", "Sở Mẫu B", "nut-1"),
        key=K,
        size=len(MESSAGE),
        sha256=digest,
        received_at=now + timedelta(milliseconds=-27),
        issued_at=now,
        ledger_origin="vb.h99-02.example/edoc-ledger/2026",
        kind="edoc",
        document_id="H99.01,2026/11/20,120/SMA-VP",
        submitted_at=now - timedelta(seconds=1),
        seal_certificate="ab" * 32,
        attachments=(AttachmentDigest("cid:7d4c6f0e-1f6b-4c38-9a58-0c6f0d9f1a01", 131072, "cd" * 32),),
    )


@pytest.fixture(scope="session")
def issued(receipt: Receipt, exchange_b: DevIdentity) -> bytes:
    """The receipt as agency B signed it."""
    return issue(receipt, credential=exchange_b.credential)


@pytest.fixture(scope="session")
def expected(receipt: Receipt, exchange_b: DevIdentity) -> Expected:
    """What agency A expects of it."""
    certificate = hashlib.sha256(exchange_b.certificate).hexdigest()
    return Expected(K, receipt.size, receipt.sha256, ("00" * 32, certificate))
