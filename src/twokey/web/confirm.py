"""The step-up: a form that needs a password or a code waits, the proof is shown, the form is carried out once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.routing import compile_path

from twokey.authority.actions import Action
from twokey.errors import Invalid, PasswordRequired, ProofReason, ProofRequired, TwokeyError
from twokey.http.answers import Answer
from twokey.http.routing import Guarded
from twokey.two_factor import factors
from twokey.web import render
from twokey.web.visit import EVIDENCE, Visit

GONE = "What was to be confirmed is not there any more: it was carried out, or ten minutes have passed. Do it again."


def ask(visit: Visit, error: TwokeyError, path: str, form: Sequence[tuple[str, str]]) -> Answer:
    """Keeps the form and asks for what is missing. 200 when nothing was shown yet, else the status of the refusal."""
    session_id = visit.caller.principal.session_id
    assert session_id is not None
    kept = [(name, value) for name, value in form if name not in EVIDENCE and "password" not in name]
    key = visit.registry.interrupted_forms.keep(session_id, path, kept, visit.caller.received_at)
    wants_password = isinstance(error, PasswordRequired) or (
        not isinstance(error, ProofRequired) and bool(visit.one("password"))
    )
    shown = bool(visit.one("password") if wants_password else visit.one("otp") or visit.one("security_key"))
    if isinstance(error, ProofRequired) and error.reason is ProofReason.MISSING:
        shown = False
    with visit.registry.database.read() as connection:
        found = factors.of(connection, visit.user_id)
    return render.form_page(
        visit, "confirm.html", error if shown else None, key=key, wants_password=wants_password, factors=found
    )


def carry_out(visit: Visit, forms: Sequence[Guarded]) -> Answer:
    """Takes the interrupted form, and hands it to its page again with the proof beside its values.

    Where that proof is refused, the form is kept anew and asked for again (`face.py`).
    """
    visit.ask(Action.READ_PROFILE)
    session_id = visit.caller.principal.session_id
    assert session_id is not None
    taken = visit.registry.interrupted_forms.take(session_id, visit.one("key"), visit.caller.received_at)
    if taken is None:
        raise Invalid(GONE)
    route, visit.params = _route_of(forms, taken.path)
    visit.actions, visit.path, visit.confirms = frozenset(route.actions), taken.path, True
    visit.form = [*taken.fields, *((name, value) for name, value in visit.form if name in EVIDENCE)]
    return route.handler(visit)


def _route_of(forms: Sequence[Guarded], path: str) -> tuple[Guarded, dict[str, Any]]:
    for route in forms:
        pattern, _, convertors = compile_path(route.path)
        match = pattern.match(path)
        if match:
            return route, {name: convertors[name].convert(text) for name, text in match.groupdict().items()}
    raise Invalid(GONE)
