"""Take-backs under way, metadata of partners with its history, heads of other logs: new tables only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def _row_number() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def upgrade() -> None:
    """Make the tables in the order of their references."""
    op.create_table(
        "take_back",
        sa.Column("dispatch", _row_number(), nullable=False),
        _time("asked_at"),
        *(_text(name) for name in ("person", "reason", "note")),
        _time("absent_at", nullable=True),
        sa.ForeignKeyConstraint(["dispatch"], ["dispatch.id"]),
        sa.PrimaryKeyConstraint("dispatch"),
    )
    op.create_table(
        "partner_metadata",
        sa.Column("id", _row_number(), autoincrement=True, nullable=False),
        *(_text(name) for name in ("agency", "sha256")),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        *(_text(name) for name in ("keyid", "state")),
        *(_time(name) for name in ("issued_at", "expires_at", "fetched_at")),
        sa.CheckConstraint("state IN ('waiting', 'active', 'past', 'refused')", name="partner_metadata_state"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("agency", "sha256", name="partner_metadata_key"),
    )
    op.create_index(op.f("ix_partner_metadata_agency"), "partner_metadata", ["agency"], unique=False)
    op.create_table(
        "partner_seen",
        _text("agency"),
        *(_time(name, nullable=True) for name in ("pinged_at", "answered_at", "fetched_at", "offset_ms")),
        sa.PrimaryKeyConstraint("agency"),
    )
    op.create_table(
        "peer_head",
        *(_text(name) for name in ("origin", "agency")),
        _time("size"),
        _text("root"),
        _time("at"),
        sa.PrimaryKeyConstraint("origin"),
    )
