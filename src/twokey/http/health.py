"""Whether database and blob store work, for the address that probes ask and for the administration."""

from __future__ import annotations

import logging

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from twokey.db.schema import InstanceSecret
from twokey.registry import Registry

OK, FAILING = "ok", "failing"
log = logging.getLogger("twokey.health")


def database_state(registry: Registry) -> str:
    """`ok` where the database answers with a row: SQLite answers SELECT 1 without its file."""
    try:
        with registry.database.read() as connection:
            connection.execute(select(InstanceSecret.name).limit(1)).one()
    except SQLAlchemyError:
        log.exception("the database does not answer")
        return FAILING
    return OK


def blobs_state(registry: Registry) -> str:
    """`ok` where the blob store takes a file."""
    try:
        registry.blobs.check()
    except OSError:
        log.exception("the blob store takes nothing")
        return FAILING
    return OK
