"""Tables of what partners say of themselves and of take-backs under way (exchange.md 6 T9, 8; ledger.md 8).

Metadata is kept as it was signed, every version of it, because which key belonged to which agency on which day decides
disputes (R66). A request to take back outlives the process that asked for it.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Integer, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from transport.store.columns import Identity, identity


class TakeBack(SQLModel, table=True):
    """A dispatch that is to be taken back although its bytes may have left (T9), by whom and why."""

    __tablename__ = "take_back"

    dispatch: int = Field(sa_column=Column(Identity, ForeignKey("dispatch.id"), primary_key=True))
    asked_at: int = Field(sa_type=BigInteger)
    person: str
    reason: str
    note: str = ""
    absent_at: int | None = Field(default=None, sa_type=BigInteger)  # the first 404 after the last lease


class PartnerMetadata(SQLModel, table=True):
    """A version of a partner's metadata: waiting for a person, in force, or of the past; never removed."""

    __tablename__ = "partner_metadata"
    __table_args__ = (
        UniqueConstraint("agency", "sha256", name="partner_metadata_key"),
        CheckConstraint("state IN ('waiting', 'active', 'past', 'refused')", name="partner_metadata_state"),
    )

    id: int | None = Field(default=None, sa_column=identity())
    agency: str = Field(index=True)
    sha256: str
    data: bytes = Field(sa_type=LargeBinary)
    keyid: str
    state: str
    issued_at: int = Field(sa_type=BigInteger)
    expires_at: int = Field(sa_type=BigInteger)
    fetched_at: int = Field(sa_type=BigInteger)


class PartnerSeen(SQLModel, table=True):
    """When a partner's node last answered a ping and gave its metadata, and how far its clock is from ours."""

    __tablename__ = "partner_seen"

    agency: str = Field(primary_key=True)
    pinged_at: int | None = Field(default=None, sa_type=BigInteger)
    answered_at: int | None = Field(default=None, sa_type=BigInteger)
    fetched_at: int | None = Field(default=None, sa_type=BigInteger)
    offset_ms: int | None = Field(default=None, sa_type=BigInteger)


class PeerHead(SQLModel, table=True):
    """The newest head of another log that was named to us: a claim, until its note is fetched (ledger.md 8)."""

    __tablename__ = "peer_head"

    origin: str = Field(primary_key=True)
    agency: str
    size: int = Field(sa_type=BigInteger)
    root: str
    at: int = Field(sa_type=BigInteger)


class Knowledge(SQLModel, table=True):
    """One row whose number triggers raise with every change of what a node knows of others."""

    __table_args__ = (CheckConstraint("id = 1", name="knowledge_one_row"),)

    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    number: int = Field(sa_type=BigInteger)
