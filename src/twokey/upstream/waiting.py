"""How a request waits for upstream without holding one of the few worker threads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping

# For which a client waits; the question to upstream itself may go on. Less than a stop of the server waits for requests
# that are under way, so that those are answered, too.
PATIENCE_SECONDS = 7.0
PAUSES = (0.2, 1.0)  # seconds before the second and the third attempt
CHUNK = 256 * 1024
Waited = MutableMapping[str, object]  # what a request has waited for so far, by key


class Waits(Exception):
    """What a request needs has to be fetched first. No error: the request is begun again once `work` is done."""

    def __init__(self, key: str, work: Callable[[], Awaitable[object]]) -> None:
        """`key` names what is waited for; `work` runs on the event loop, and the request finds what it gave, or
        raised, under that key when it is begun again."""
        super().__init__(key)
        self.key = key
        self.work = work


def awaited(waited: Waited, key: str, work: Callable[[], Awaitable[object]]) -> object:
    """What `work` gave when this request waited for it. Raises what it raised, and Waits the first time."""
    if key not in waited:
        raise Waits(key, work)
    outcome = waited[key]
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
