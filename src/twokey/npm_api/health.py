"""`GET /`, ping, health and figures."""

from __future__ import annotations

import logging

from sqlalchemy.exc import SQLAlchemyError

import twokey
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.clock import iso
from twokey.http.answers import Answer, json_answer
from twokey.http.health import FAILING, OK, blobs_state, database_state
from twokey.http.metrics import TEXT, rendered
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
    database, blobs = _database(call), blobs_state(call.registry)
    well = database == blobs == OK
    document = {
        "status": "ok" if well else "failing",
        "database": database,
        "blobs": blobs,
        "time": iso(call.registry.clock.now()),
        "version": twokey.__version__,
    }
    return json_answer(document, 200 if well else 503, {"cache-control": "no-store"})


def metrics(call: Call) -> Answer:
    """The server's figures for Prometheus, where the operator lets them be read from."""
    call.require(Action.READ_METRICS, Target())
    return Answer(200, rendered(call.registry.figures), TEXT, {"cache-control": "no-store"})


def _database(call: Call) -> str:
    try:
        call.require(Action.PING, Target())  # the door may read the database
    except SQLAlchemyError:
        log.exception("the database does not answer")
        return FAILING
    return database_state(call.registry)
