"""Every route names its action, or the application does not start; no handler answers without asking the door."""

from __future__ import annotations

from dataclasses import replace

import pytest

from twokey.authority.actions import RULES, Action
from twokey.http.routing import checked
from twokey.npm_api.routes import ROUTES


def test_every_route_names_an_action_that_the_rule_table_has() -> None:
    ruled = {action for action, _ in RULES}
    assert ruled == set(Action)
    assert all(set(route.actions) <= ruled for route in checked(ROUTES))


def test_a_route_without_an_action_stops_the_start() -> None:
    with pytest.raises(AssertionError, match="names no action"):
        checked([replace(ROUTES[0], actions=())])


def test_a_route_that_is_there_twice_stops_the_start() -> None:
    with pytest.raises(AssertionError, match="there twice"):
        checked([ROUTES[0], ROUTES[0]])
