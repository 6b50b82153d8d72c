"""`GET /`, ping and health."""

from __future__ import annotations

import logging

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

import twokey
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.clock import iso
from twokey.db.schema import InstanceSecret
from twokey.http.answers import Answer, json_answer
from twokey.http.routing import Call

log = logging.getLogger("twokey.health")


def about(call: Call) -> Answer:
    """What this is, for whoever opens the address."""
    call.require(Action.PING, Target())
    return json_answer(
        {"registry": "twokey", "version": twokey.__version__, "use": f"npm config set registry {call.base}/"}
    )


def ping(call: Call) -> Answer:
    """`npm ping`: an empty object."""
    call.require(Action.PING, Target())
    return json_answer({})


def health(call: Call) -> Answer:
    """Whether database and blob store work, the server's clock (UTC) and version. 503 where one of them does not."""
    database, blobs = _database(call), _blobs(call)
    well = database == blobs == "ok"
    document = {
        "status": "ok" if well else "failing",
        "database": database,
        "blobs": blobs,
        "time": iso(call.registry.clock.now()),
        "version": twokey.__version__,
    }
    return json_answer(document, 200 if well else 503, {"cache-control": "no-store"})


def _database(call: Call) -> str:
    try:
        call.require(Action.PING, Target())  # the door may read the database
        with call.registry.database.read() as connection:  # a row, since SQLite answers SELECT 1 without its file
            connection.execute(select(InstanceSecret.name).limit(1)).one()
    except SQLAlchemyError:
        log.exception("the database does not answer")
        return "failing"
    return "ok"


def _blobs(call: Call) -> str:
    try:
        call.registry.blobs.check()
    except OSError:
        log.exception("the blob store takes nothing")
        return "failing"
    return "ok"
