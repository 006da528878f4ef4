"""What Alembic runs: always on the connection that `upgrade` hands over, never from a configuration file."""

from alembic import context

from storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
