"""alembic's entry: the connection and its transaction are the caller's (db/migrate.py)."""

from __future__ import annotations

from alembic import context

from twokey.db import (  # noqa: F401  (their tables belong to the metadata)
    schema_access,
    schema_advisories,
    schema_mail,
    schema_orgs,
    schema_signing,
    schema_site,
    schema_stars,
    schema_upstream,
)
from twokey.db.schema import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,
    transactional_ddl=False,
)
context.run_migrations()
