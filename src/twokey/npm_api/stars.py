"""Stars, as npm and pnpm ask for them (npm 11's `lib/commands/star.js` and `stars.js`; pnpm's by what it sends)."""

from __future__ import annotations

from twokey import strict_json
from twokey.accounts import users
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.errors import Invalid, NotFound
from twokey.http.answers import FRESH, Answer, json_answer
from twokey.http.routing import Call
from twokey.npm_api.search import sees_as
from twokey.packages import packages, stars
from twokey.packages.names import PackageName
from twokey.publishing.document import Star

OK = {"ok": True}


def from_document(call: Call, intent: Star) -> Answer:
    """`npm star` and `unstar`: the package's users as the client knows them, with or without its own name.

    Only the caller's own entry counts: true is a star, false or none is none. What else the document says of users, and
    which revision it was made from, is no matter: nobody stars for somebody else, and no star is in another's way.
    """
    name = call.caller.principal.user_name
    return _put(call, call.package, starred=name is not None and intent.users.get(name, False))


def put(call: Call) -> Answer:
    """`pnpm star` and `unstar`: PUT and DELETE of `/-/user/v1/star`, the package in the body."""
    name = strict_json.required_string(call.json(), "package", max_length=256)
    return _put(call, PackageName.parse(name), starred=call.method == "PUT")


def put_by_path(call: Call) -> Answer:
    """The same as `/-/user/package/NAME/star`, which pnpm tries next."""
    return _put(call, call.package, starred=call.method == "PUT")


def _put(call: Call, name: PackageName, *, starred: bool) -> Answer:
    permit = call.require(Action.STAR, Target(package=str(name), scope=name.scope))
    with call.registry.door.write(permit) as tx:
        stars.put(tx, packages.get(tx.connection, name), permit.actor, starred=starred)
    return json_answer(OK, 200)


def starred_by_user(call: Call) -> Answer:
    """`npm stars [NAME]`: `GET /-/_view/starredByUser?key="NAME"`, a view of CouchDB's."""
    call.require(Action.SEARCH, Target())
    try:
        name = strict_json.loads(call.query.get("key", "").encode())
    except Invalid:
        name = None
    if not isinstance(name, str):
        raise Invalid('The parameter key is a user\'s name as a JSON string: ?key="alice".')
    return json_answer({"rows": [{"value": each} for each in _starred(call, name)]}, 200, FRESH)


def of_user(call: Call) -> Answer:
    """`pnpm stars NAME`: `GET /-/user/NAME/stars`."""
    call.require(Action.SEARCH, Target())
    return json_answer(_starred(call, call.params["user"]), 200, FRESH)


def own(call: Call) -> Answer:
    """`pnpm stars`: `GET /-/user/v1/star`."""
    principal = call.caller.principal
    call.require(Action.WHOAMI, Target(account=principal.user_name))
    assert principal.user_name is not None
    return json_answer(_starred(call, principal.user_name), 200, FRESH)


def _starred(call: Call, name: str) -> list[str]:
    """The names of what the user starred and the caller may know of. Raises NotFound."""
    with call.registry.database.read() as connection:
        account = users.find(connection, name)
        if account is None or account.disabled:
            raise NotFound(f"There is no account {strict_json.quoted(name)} here.")
        found = stars.of_user(connection, account.id, reader_id=sees_as(call.caller.principal))
    return [name for name, _, _ in found]
