"""Accounts, roles, certificates, the authority table and conversions: new tables only, nothing of before changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

STARRED = ("account_history", "conversion")


def _identity() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _account() -> None:
    op.create_table(
        "account",
        _text("name"),
        _text("full_name"),
        _time("added_at"),
        _time("disabled_at", nullable=True),
        _time("last_login", nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "account_role",
        _text("account"),
        _text("role"),
        _time("since"),
        sa.CheckConstraint("role IN ('clerk', 'leader', 'auditor', 'admin')", name="account_role_word"),
        sa.ForeignKeyConstraint(["account"], ["account.name"]),
        sa.PrimaryKeyConstraint("account", "role"),
    )
    op.create_table(
        "account_certificate",
        _identity(),
        _text("account"),
        _text("serial"),
        _text("issuer"),
        _text("sha256"),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        _time("added_at"),
        sa.ForeignKeyConstraint(["account"], ["account.name"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("serial", "issuer", name="account_certificate_key"),
    )
    op.create_table(
        "account_history",
        _identity(),
        _text("account"),
        _time("at"),
        _text("actor"),
        _text("action"),
        _text("entry"),
        sa.PrimaryKeyConstraint("id"),
    )


def _authority() -> None:
    op.create_table(
        "authority",
        _identity(),
        *(_text(name) for name in ("account", "agency", "capacity", "position", "types", "areas", "valid_from")),
        _text("valid_to", nullable=True),
        _text("basis"),
        sa.Column("source", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        _text("ended_on", nullable=True),
        _time("added_at"),
        sa.ForeignKeyConstraint(["account"], ["account.name"]),
        sa.ForeignKeyConstraint(["source"], ["authority.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "key_right",
        _identity(),
        _text("account"),
        _text("agency"),
        _text("certificate", nullable=True),
        _text("valid_from"),
        _text("valid_to", nullable=True),
        _text("basis"),
        _text("ended_on", nullable=True),
        _time("added_at"),
        sa.ForeignKeyConstraint(["account"], ["account.name"]),
        sa.PrimaryKeyConstraint("id"),
    )


def _conversion() -> None:
    op.create_table(
        "conversion",
        _identity(),
        *(_text(name) for name in ("agency", "form", "direction")),
        _time("at"),
        *(_text(name) for name in ("person", "document")),
        *(_text(name, nullable=True) for name in ("sha256_in", "sha256_out")),
        sa.Column("year", sa.Integer(), nullable=True),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("agency", "year", "number", name="conversion_number"),
    )


def _refuse(table: str, act: str) -> None:
    done = "FOR EACH ROW EXECUTE FUNCTION edoc_append_only()"
    if op.get_bind().dialect.name != "postgresql":
        done = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    op.execute(f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table} {done}")


def upgrade() -> None:
    """Make the tables in the order of their references, then the triggers."""
    _account()
    _authority()
    _conversion()
    for table in ("account_certificate", "account_history", "authority", "key_right"):
        op.create_index(op.f(f"ix_{table}_account"), table, ["account"], unique=False)
    for column in ("sha256_in", "sha256_out"):
        op.create_index(op.f(f"ix_conversion_{column}"), "conversion", [column], unique=False)
    for table in STARRED:
        for act in ("UPDATE", "DELETE"):
            _refuse(table, act)
