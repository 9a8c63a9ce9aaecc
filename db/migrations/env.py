"""Run by Alembic: applies revisions over the connection, and in the transaction, that `db.session` opened."""

from __future__ import annotations

from alembic import context

from db.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite changes a column only by copying the table, which is what Alembic's batch mode does.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
