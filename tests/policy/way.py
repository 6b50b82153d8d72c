"""How an action is asked for over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.policy.stage import Actor, Shown, Who
from tests.support.wire import Answer
from twokey.authority.actions import READS, Action
from twokey.authority.principal import CredentialKind as Kind
from twokey.authority.principal import Mode

Ask = Callable[[Shown], Answer]
Otherwise = Callable[[Mode | None], Action]


@dataclass(frozen=True)
class Way:
    """One request that takes the action. `ready` sets its scene for an actor, and gives what sends it.

    `as_nobody`: the route acts as nobody known, whoever asks. `otherwise`: what the same request takes, where the
    account's mode makes it another action. `tells_nothing`: no event says that it was done. `spoils`: the account is
    not what its column says any more.
    """

    action: Action
    method: str
    route: str
    ready: Callable[[Actor], Ask]
    as_nobody: bool = False
    otherwise: Otherwise | None = None
    tells_nothing: bool = False
    spoils: bool = False

    def action_of(self, who: Who) -> Action:
        """What the request of this column takes."""
        return self.action if self.otherwise is None else self.otherwise(who.mode)

    def kind_of(self, who: Who) -> Kind:
        """As what the door sees whoever asks."""
        return Kind.ANONYMOUS if self.as_nobody else who.kind

    def tells(self, who: Who) -> bool:
        """Whether an event says that it was done."""
        ends_nothing = self.action is Action.LOG_OUT and who.kind is Kind.ANONYMOUS
        return not (self.tells_nothing or self.action in READS or ends_nothing)


def only(ways: Sequence[Way]) -> dict[Action, Way]:
    """The ways by their action, each once."""
    found = {way.action: way for way in ways}
    assert len(found) == len(ways)
    return found
