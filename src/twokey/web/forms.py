"""What the forms share that stand on a page with several of them."""

from __future__ import annotations

from collections.abc import Callable

from twokey.errors import Conflict, Invalid, NotFound, Refused
from twokey.http.answers import Answer
from twokey.web.visit import Visit

Page = Callable[[Visit], Answer]


def form(enter: Callable[[Visit], object], act: Page, show: Callable[..., Answer]) -> Page:
    """A form of a page that `enter` asks the door for: what is wrong with what was sent is said on that page.

    Whoever may not see the page gets what `enter` raises, and the form is not looked at.
    """

    def run(visit: Visit) -> Answer:
        enter(visit)
        try:
            return act(visit)
        except (Invalid, Refused, NotFound, Conflict) as error:
            return show(visit, error)

    return run


def check_typed(visit: Visit, field: str, name: str) -> None:
    """Raises Invalid where the name of what is to go was not typed: such a form is not sent by mistake."""
    if visit.one(field) != name:
        raise Invalid(f"Type the name, {name}, to say that it is this one.")
