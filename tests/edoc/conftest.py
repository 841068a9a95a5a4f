"""Fixtures of the room: one letter and one status message as offices would send them, and their trees."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from lxml import etree

from edoc.documents import Attachment, Document, SignerInfo
from edoc.edxml import serialize, write
from edoc.envelopes import Business, Envelope, Hop, Party, ResponseFor, StaffInfo, StatusMessage

VECTORS = Path(__file__).parent.parent / "vectors" / "edxml"

SENDER = Party("H99.01", "Sở Mẫu A", address="Số 1 phố Mẫu, tỉnh Thử Nghiệm", email="vanthu@a.example")
RECIPIENT = Party("H99.02", "Sở Mẫu B", address="Số 2 phố Mẫu, tỉnh Thử Nghiệm")
PDF = b"%PDF-1.4\n%%EOF\n"

Edit = Callable[[bytes], bytes]


@pytest.fixture
def letter() -> Envelope:
    """A công văn with one attachment, from H99.01 to H99.02."""
    return Envelope(
        SENDER,
        (RECIPIENT,),
        Document(
            "120",
            "SMA-VP",
            date(2026, 11, 19),
            "Công văn",
            "V/v thử nghiệm kết nối",
            content="V/v thử nghiệm kết nối",
            place="Thử Nghiệm",
            signer=SignerInfo("KT. GIÁM ĐỐC", "Phó Giám đốc", "Nguyễn Văn Mẫu"),
            pages=1,
            document_id="H99.01,2026/11/19,120/SMA-VP",
        ),
        (
            Attachment(
                "120-SMA-VP.signed.pdf",
                PDF,
                "application/pdf",
                description="Văn bản chính",
                content_id="cid:7d4c6f0e-1f6b-4c38-9a58-0c6f0d9f1a01",
            ),
        ),
        business=Business(staff=StaffInfo("Văn thư", "Trần Thị Mẫu", email="vanthu@a.example")),
        trace=(Hop("H99.01", datetime(2026, 11, 20, 2, 30, tzinfo=UTC)),),
    )


@pytest.fixture
def accepted() -> StatusMessage:
    """Status 03 of H99.02 about that letter."""
    return StatusMessage(
        RECIPIENT,
        ResponseFor("H99.01", "120/SMA-VP", date(2026, 11, 19), "H99.01,2026/11/19,120/SMA-VP"),
        "03",
        description="Văn thư Sở Mẫu B đã tiếp nhận",
        staff=StaffInfo("Văn thư", "Lê Văn Mẫu", email="vanthu@b.example"),
        timestamp=datetime(2026, 11, 20, 3, 5, tzinfo=UTC),
    )


@pytest.fixture
def written(letter: Envelope) -> str:
    """The file of the letter, as text to be edited."""
    return serialize(write(letter)).decode("utf-8")


def tree_of(text: str) -> etree._Element:
    """Parse a well-formed file."""
    return etree.fromstring(text.encode("utf-8"))
