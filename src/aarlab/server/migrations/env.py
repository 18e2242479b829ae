"""Run by Alembic: upgrades over the connection that `server/_database.py` gives it."""

from alembic import context

from aarlab.server._models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite changes a table by making a new one
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
