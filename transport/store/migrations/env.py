"""Where Alembic runs a step: on the connection that ``transport.store.schema`` hands over, in its transaction."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection


def run() -> None:
    """Run the asked steps on the given connection; there is no way to run them without one."""
    connection = context.config.attributes["connection"]
    assert isinstance(connection, Connection)
    context.configure(connection=connection)
    context.run_migrations()


run()
