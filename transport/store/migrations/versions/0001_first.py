"""The first step: every table of a node, and the triggers that keep what is recorded from being changed."""

from __future__ import annotations

from typing import TypedDict

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

STARRED = ("ledger_entry", "ledger_tile", "receipt", "agency_history")

PRUNED = """
    NEW.ticket = OLD.ticket AND NEW.leaf = OLD.leaf AND NEW.data IS NULL AND EXISTS (
        SELECT 1 FROM ledger_entry e JOIN ledger_log l ON l.id = e.log
        WHERE e.ticket = OLD.ticket AND e.idx < l.min_index)
"""
"""The one change a leaf may see: its bytes go when its shard has been pruned by decision (ledger.md 13)."""


class _Where(TypedDict):
    sqlite_where: sa.TextClause
    postgresql_where: sa.TextClause


def _where(condition: str) -> _Where:
    """The condition of a partial index, for both databases."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _refuse(table: str, act: str, unless: str = "") -> None:
    condition = f" WHEN NOT ({unless})" if unless else ""
    if op.get_bind().dialect.name == "postgresql":
        # here a condition of a trigger cannot ask other tables: the function asks
        function = "edoc_only_pruned" if unless else "edoc_append_only"
        op.execute(
            f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION {function}()"
        )
        return
    op.execute(
        f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table}{condition} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    )


def _functions() -> None:
    """What the triggers call on PostgreSQL."""
    refusal = "RAISE EXCEPTION '% is append-only', TG_TABLE_NAME"
    op.execute(f"CREATE FUNCTION edoc_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {refusal}; END $$")
    op.execute(
        f"CREATE FUNCTION edoc_only_pruned() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF {PRUNED} THEN RETURN NEW; END IF; {refusal}; END $$"
    )


def _agency() -> None:
    op.create_table(
        "agency",
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("old_codes", sa.String(), nullable=False),
        sa.Column("former_names", sa.String(), nullable=False),
        sa.Column("aliases", sa.String(), nullable=False),
        sa.Column("valid_from", sa.String(), nullable=True),
        sa.Column("valid_to", sa.String(), nullable=True),
        sa.Column("successor", sa.String(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("code"),
    )


def _agency_history() -> None:
    op.create_table(
        "agency_history",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("entry", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_agency_history_agency"), "agency_history", ["agency"], unique=False)


def _anchor() -> None:
    op.create_table(
        "anchor",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("use", sa.String(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("sha256", "use", name="anchor_key"),
    )


def _blob() -> None:
    op.create_table(
        "blob",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=True),
        sa.Column("condemned_since", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(place = 'row' AND data IS NOT NULL) OR (place = 'file' AND data IS NULL)", name="blob_place"
        ),
        sa.PrimaryKeyConstraint("digest"),
    )


def _effect() -> None:
    op.create_table(
        "effect",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("facts", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("starts", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("crashes", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("cause", "kind", name="effect_key"),
    )
    op.create_index("effect_due", "effect", ["next_at"], unique=False, **_where("state = 'waiting'"))
    op.create_index("effect_leased", "effect", ["lease_until"], unique=False, **_where("state = 'running'"))


def _key() -> None:
    op.create_table(
        "key",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("file", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("agency", sa.String(), nullable=True),
        sa.Column("public", sa.LargeBinary(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=True),
        sa.Column("not_after", sa.BigInteger(), nullable=True),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _ledger_keys() -> None:
    op.create_table(
        "ledger_keys",
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("xml", sa.LargeBinary(), nullable=False),
        sa.Column("accepted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agency", "serial"),
    )


def _ledger_leaf() -> None:
    op.create_table(
        "ledger_leaf",
        sa.Column("ticket", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("length(data) <= 4096", name="ledger_leaf_size"),
        sa.CheckConstraint("length(leaf) = 32", name="ledger_leaf_hash"),
        sa.PrimaryKeyConstraint("ticket"),
    )


def _ledger_log() -> None:
    op.create_table(
        "ledger_log",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("shard", sa.String(), nullable=False),
        sa.Column("vkey", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("min_index", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state IN ('open', 'frozen', 'closed')", name="ledger_log_state"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("origin"),
        sa.UniqueConstraint("shard"),
    )
    op.create_index("ledger_log_open", "ledger_log", ["state"], unique=True, **_where("state = 'open'"))


def _ledger_opening() -> None:
    op.create_table(
        "ledger_opening",
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("leaf", "field"),
    )


def _partner() -> None:
    op.create_table(
        "partner",
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=True),
        sa.Column("delivery", sa.String(), nullable=False),
        sa.Column("auth", sa.String(), nullable=False),
        sa.Column("cap", sa.Integer(), nullable=False),
        sa.Column("served_at", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("open_until", sa.BigInteger(), nullable=True),
        sa.Column("open_for", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agency"),
    )


def _register_number() -> None:
    op.create_table(
        "register_number",
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("series", sa.String(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agency", "series", "year", "number"),
    )


def _register_series() -> None:
    op.create_table(
        "register_series",
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("series", sa.String(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("agency", "series", "year"),
    )


def _revocation() -> None:
    op.create_table(
        "revocation",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("fetched_at", sa.BigInteger(), nullable=False),
        sa.Column("next_update", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("sha256"),
    )


def _status() -> None:
    op.create_table(
        "status",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("direction", sa.String(), nullable=False),
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("carrier", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("applied", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("unit", sa.String(), nullable=True),
        sa.Column("person", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("direction", "carrier", name="status_carrier"),
    )
    op.create_index("status_dispatch", "status", ["message_id", "recipient"], unique=False)


def _agency_certificate() -> None:
    op.create_table(
        "agency_certificate",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("use", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("valid_from", sa.String(), nullable=True),
        sa.Column("valid_to", sa.String(), nullable=True),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["agency"],
            ["agency.code"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("agency", "use", "sha256", name="agency_certificate_key"),
    )
    op.create_index(op.f("ix_agency_certificate_sha256"), "agency_certificate", ["sha256"], unique=False)


def _ledger_anchor() -> None:
    op.create_table(
        "ledger_anchor",
        sa.Column("log", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("tsa", sa.String(), nullable=True),
        sa.Column("cosigs", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("gen_time", sa.BigInteger(), nullable=True),
        sa.Column("token", sa.LargeBinary(), nullable=True),
        sa.Column("validation", sa.LargeBinary(), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["log"],
            ["ledger_log.id"],
        ),
        sa.PrimaryKeyConstraint("log", "size"),
    )
    op.create_index(
        "ledger_anchor_wanted",
        "ledger_anchor",
        ["log", "size"],
        unique=False,
        **_where("state <> 'complete'"),
    )


def _ledger_entry() -> None:
    op.create_table(
        "ledger_entry",
        sa.Column("log", sa.Integer(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("ticket", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["log"],
            ["ledger_log.id"],
        ),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ledger_leaf.ticket"],
        ),
        sa.PrimaryKeyConstraint("log", "idx"),
        sa.UniqueConstraint("ticket"),
    )


def _ledger_event() -> None:
    op.create_table(
        "ledger_event",
        sa.Column("log", sa.Integer(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("auto", sa.Boolean(), nullable=False),
        sa.Column("side", sa.String(), nullable=True),
        sa.Column("msg", sa.String(), nullable=True),
        sa.Column("doc", sa.String(), nullable=True),
        sa.Column("from_org", sa.String(), nullable=True),
        sa.Column("to_org", sa.String(), nullable=True),
        sa.Column("env", sa.String(), nullable=True),
        sa.Column("receipt", sa.String(), nullable=True),
        sa.Column("rtype", sa.String(), nullable=True),
        sa.Column("prev", sa.String(), nullable=True),
        sa.Column("peer_origin", sa.String(), nullable=True),
        sa.Column("peer_index", sa.BigInteger(), nullable=True),
        sa.Column("peer_leaf", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("legal_class", sa.String(), nullable=True),
        sa.Column("medium", sa.String(), nullable=True),
        sa.Column("dtype", sa.String(), nullable=True),
        sa.Column("unit", sa.String(), nullable=True),
        sa.Column("prio", sa.Integer(), nullable=True),
        sa.Column("clock", sa.BigInteger(), nullable=True),
        sa.Column("basis", sa.String(), nullable=True),
        sa.Column("due", sa.BigInteger(), nullable=True),
        sa.Column("ref_rel", sa.String(), nullable=True),
        sa.Column("ref_doc", sa.String(), nullable=True),
        sa.Column("ref_msg", sa.String(), nullable=True),
        sa.Column("log_origin", sa.String(), nullable=True),
        sa.Column("log_size", sa.BigInteger(), nullable=True),
        sa.Column("log_root", sa.String(), nullable=True),
        sa.Column("target_leaf", sa.String(), nullable=True),
        sa.Column("target_field", sa.String(), nullable=True),
        sa.Column("action", sa.String(), nullable=True),
        sa.Column("result", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["log"],
            ["ledger_log.id"],
        ),
        sa.PrimaryKeyConstraint("log", "idx"),
    )
    op.create_index(op.f("ix_ledger_event_doc"), "ledger_event", ["doc"], unique=False)
    op.create_index(op.f("ix_ledger_event_leaf"), "ledger_event", ["leaf"], unique=False)
    op.create_index(op.f("ix_ledger_event_msg"), "ledger_event", ["msg"], unique=False)
    op.create_index(op.f("ix_ledger_event_receipt"), "ledger_event", ["receipt"], unique=False)
    op.create_index("ledger_event_due", "ledger_event", ["due"], unique=False, **_where("due IS NOT NULL"))
    op.create_index("ledger_event_from", "ledger_event", ["from_org", "at"], unique=False)
    op.create_index("ledger_event_kind", "ledger_event", ["kind", "at"], unique=False)
    op.create_index("ledger_event_to", "ledger_event", ["to_org", "at"], unique=False)


def _ledger_head() -> None:
    op.create_table(
        "ledger_head",
        sa.Column("log", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("edge", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["log"],
            ["ledger_log.id"],
        ),
        sa.PrimaryKeyConstraint("log"),
    )


def _ledger_tile() -> None:
    op.create_table(
        "ledger_tile",
        sa.Column("log", sa.Integer(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("length(data) = 8192", name="ledger_tile_data"),
        sa.CheckConstraint("length(root) = 32", name="ledger_tile_root"),
        sa.ForeignKeyConstraint(
            ["log"],
            ["ledger_log.id"],
        ),
        sa.PrimaryKeyConstraint("log", "level", "n"),
    )


def _message() -> None:
    op.create_table(
        "message",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("submitted_at", sa.BigInteger(), nullable=False),
        sa.Column("deadline", sa.BigInteger(), nullable=False),
        sa.Column("document_id", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("notation", sa.String(), nullable=False),
        sa.Column("date", sa.String(), nullable=True),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("attachments", sa.Integer(), nullable=False),
        sa.Column("due", sa.String(), nullable=True),
        sa.Column("legal_class", sa.String(), nullable=True),
        sa.Column("status_code", sa.String(), nullable=True),
        sa.Column("cause", sa.String(), nullable=True),
        sa.Column("source_sha256", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["sha256"],
            ["blob.digest"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("sender", "message_id", name="message_key"),
    )
    op.create_index(op.f("ix_message_cause"), "message", ["cause"], unique=False)
    op.create_index(op.f("ix_message_document_id"), "message", ["document_id"], unique=False)
    op.create_index(op.f("ix_message_message_id"), "message", ["message_id"], unique=False)
    op.create_index(op.f("ix_message_source_sha256"), "message", ["source_sha256"], unique=False)
    op.create_index("message_newest", "message", ["kind", "priority", "submitted_at", "id"], unique=False)
    op.create_index("message_symbol", "message", ["number", "notation"], unique=False)


def _receipt() -> None:
    op.create_table(
        "receipt",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("direction", sa.String(), nullable=False),
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("receipt_id", sa.String(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("message_sha256", sa.String(), nullable=False),
        sa.Column("message_size", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("ticket", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint("direction IN ('in', 'out')", name="receipt_direction"),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ledger_leaf.ticket"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("direction", "sender", "recipient", "message_id", name="receipt_key"),
    )
    op.create_index(op.f("ix_receipt_message_id"), "receipt", ["message_id"], unique=False)
    op.create_index(op.f("ix_receipt_sha256"), "receipt", ["sha256"], unique=False)


def _dispatch() -> None:
    op.create_table(
        "dispatch",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("message", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("exposed", sa.Boolean(), nullable=False),
        sa.Column("recall_requested", sa.Boolean(), nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("final_try", sa.Boolean(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=True),
        sa.Column("deadline", sa.BigInteger(), nullable=False),
        sa.Column("submitted_at", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=True),
        sa.Column("last_at", sa.BigInteger(), nullable=True),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("alarmed_at", sa.BigInteger(), nullable=True),
        sa.Column("problem", sa.String(), nullable=True),
        sa.Column("problem_status", sa.Integer(), nullable=True),
        sa.Column("by_receipt", sa.Boolean(), nullable=False),
        sa.Column("receipt", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("sent_ticket", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("last_status", sa.String(), nullable=True),
        sa.Column("trace", sa.String(), nullable=False),
        sa.CheckConstraint(
            "state IN ('queued', 'carrying', 'unknown', 'delivered', 'refused', 'expired', 'recalled')",
            name="dispatch_state",
        ),
        sa.ForeignKeyConstraint(
            ["message"],
            ["message.id"],
        ),
        sa.ForeignKeyConstraint(
            ["receipt"],
            ["receipt.id"],
        ),
        sa.ForeignKeyConstraint(
            ["sent_ticket"],
            ["ledger_leaf.ticket"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("message", "recipient", name="dispatch_key"),
    )
    op.create_index(
        "dispatch_ahead",
        "dispatch",
        ["last_at"],
        unique=False,
        **_where("state IN ('queued', 'unknown', 'carrying')"),
    )
    op.create_index(
        "dispatch_deadline",
        "dispatch",
        ["deadline"],
        unique=False,
        **_where("state IN ('queued', 'unknown')"),
    )
    op.create_index(
        "dispatch_due",
        "dispatch",
        ["recipient", "lane", "next_at"],
        unique=False,
        **_where("state IN ('queued', 'unknown')"),
    )
    op.create_index(
        "dispatch_leased",
        "dispatch",
        ["recipient", "lease_until"],
        unique=False,
        **_where("state = 'carrying'"),
    )


def _inbox() -> None:
    op.create_table(
        "inbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("earlier_state", sa.String(), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("arrived_at", sa.BigInteger(), nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("document_id", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("notation", sa.String(), nullable=False),
        sa.Column("date", sa.String(), nullable=True),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("attachments", sa.Integer(), nullable=False),
        sa.Column("due", sa.String(), nullable=True),
        sa.Column("status_code", sa.String(), nullable=True),
        sa.Column("sender_name", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=True),
        sa.Column("legal_class", sa.String(), nullable=True),
        sa.Column("verification", sa.LargeBinary(), nullable=True),
        sa.Column("arrival_year", sa.Integer(), nullable=True),
        sa.Column("arrival_number", sa.Integer(), nullable=True),
        sa.Column("accepted_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("receipt", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint(
            "state IN ('arrived', 'refused', 'accepted', 'assigned', 'in-process', 'finished', "
            "'recall-asked', 'recalled', 'deleted')",
            name="inbox_state",
        ),
        sa.ForeignKeyConstraint(
            ["receipt"],
            ["receipt.id"],
        ),
        sa.ForeignKeyConstraint(
            ["sha256"],
            ["blob.digest"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("recipient", "arrival_year", "arrival_number", name="inbox_arrival"),
        sa.UniqueConstraint("sender", "recipient", "message_id", name="inbox_key"),
    )
    op.create_index("inbox_newest", "inbox", ["kind", "priority", "arrived_at", "id"], unique=False)
    op.create_index("inbox_symbol", "inbox", ["number", "notation"], unique=False)
    op.create_index(op.f("ix_inbox_document_id"), "inbox", ["document_id"], unique=False)
    op.create_index(op.f("ix_inbox_message_id"), "inbox", ["message_id"], unique=False)


def _attempt() -> None:
    op.create_table(
        "attempt",
        sa.Column("dispatch", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("problem", sa.String(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("peer", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["dispatch"],
            ["dispatch.id"],
        ),
        sa.PrimaryKeyConstraint("dispatch", "n"),
    )


def upgrade() -> None:
    """Make the tables in the order of their references, then the triggers."""
    _agency()
    _agency_history()
    _anchor()
    _blob()
    _effect()
    _key()
    _ledger_keys()
    _ledger_leaf()
    _ledger_log()
    _ledger_opening()
    _partner()
    _register_number()
    _register_series()
    _revocation()
    _status()
    _agency_certificate()
    _ledger_anchor()
    _ledger_entry()
    _ledger_event()
    _ledger_head()
    _ledger_tile()
    _message()
    _receipt()
    _dispatch()
    _inbox()
    _attempt()
    if op.get_bind().dialect.name == "postgresql":
        _functions()
    for table in STARRED:
        _refuse(table, "UPDATE")
        _refuse(table, "DELETE")
    _refuse("ledger_leaf", "UPDATE", PRUNED)
    _refuse("ledger_leaf", "DELETE")
