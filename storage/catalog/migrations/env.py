"""Alembic's way in: its steps are taken in the transaction that storage/catalog/schema.py began."""

from __future__ import annotations

from alembic import context

from storage.catalog.tables import VERSION_TABLE

# Without transactional_ddl Alembic would end the transaction after each step on SQLite, which can take all in one.
context.configure(
    connection=context.config.attributes["connection"], version_table=VERSION_TABLE, transactional_ddl=True
)
context.run_migrations()
