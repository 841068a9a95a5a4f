"""Several nodes on one database: leaves that wait for their place, text functions, and who may work on which step."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

LAST_LETTER = 0x2000
"""Letters below this have their case folded in searches: Latin with all Vietnamese ones, Greek, Cyrillic."""


def _folding() -> tuple[str, str]:
    pairs = [(chr(code), chr(code).casefold()) for code in range(1, LAST_LETTER)]
    changed = [(letter, folded) for letter, folded in pairs if letter != folded and len(folded) == 1]
    return "".join(letter for letter, _ in changed), "".join(folded for _, folded in changed)


def _functions() -> None:
    """What SQLite has by itself (instr) or gets from us on each connection (folded)."""
    for kind in ("text", "bytea"):
        op.execute(
            f"CREATE FUNCTION instr({kind}, {kind}) RETURNS integer LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE "
            "AS $$ SELECT position($2 IN $1) $$"
        )
    upper, lower = _folding()
    op.execute(
        "CREATE FUNCTION folded(text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE "
        f"AS $$ SELECT translate(normalize(coalesce($1, ''), NFC), '{upper}', '{lower}') $$"
    )


def _pending() -> None:
    op.create_table(
        "ledger_pending",
        sa.Column("ticket", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("log", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["ticket"], ["ledger_leaf.ticket"]),
        sa.ForeignKeyConstraint(["log"], ["ledger_log.id"]),
        sa.PrimaryKeyConstraint("ticket"),
    )


def upgrade() -> None:
    """Make the new tables; nothing of before changes."""
    op.create_table(
        "schema_step",
        sa.Column("revision", sa.String(), nullable=False),
        sa.Column("oldest", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("revision"),
    )
    op.execute("INSERT INTO schema_step (revision, oldest) VALUES ('0004', '0004')")
    if op.get_bind().dialect.name == "postgresql":
        _pending()
        _functions()
