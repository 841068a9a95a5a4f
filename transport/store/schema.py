"""Making and moving the schema: numbered Alembic steps, forward only (exchange.md 9).

A node refuses a database whose revision it does not know and never migrates by itself; only ``edoc init`` and ``edoc
migrate`` come here, because Alembic alone costs a third of a second to import.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from transport.errors import SettingsError
from transport.store.engine import revision_of

REVISION = "0003"
"""The revision this program works with."""


def check_revision(connection: Connection) -> None:
    """Refuse a database that was never made, is older, or comes from a newer program.

    Raises:
        SettingsError: EDOC-CFG-008 (not made or older: migrate), EDOC-CFG-009 (newer than this program).
    """
    found = revision_of(connection)
    if found == REVISION:
        return
    code = "EDOC-CFG-009" if found is not None and found > REVISION else "EDOC-CFG-008"
    raise SettingsError(code, "the database has another revision", found=found or "-", wanted=REVISION)


def upgrade(connection: Connection) -> None:
    """Bring the database to this program's revision, in the transaction of the given connection."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, REVISION)
