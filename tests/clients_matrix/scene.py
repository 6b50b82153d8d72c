"""What a cell needs to be there before its command runs, made as it is named; and how it looks afterwards.

A helper without two-factor authentication owns everything and makes the account that is tested an owner of it too: it
is the helper who prepares and looks, so that the account's codes are the command's alone.
"""

from __future__ import annotations

from enum import Enum
from functools import cached_property
from typing import Any
from urllib.parse import quote

import pyotp

from tests.clients_matrix.credentials import Code, Column, Token
from tests.support import accounts
from tests.support.accounts import Account
from tests.support.codes import STEP
from tests.support.server import Server
from tests.support.wire import request

OLD = "1.0.0"
NEW = "2.0.0"
NEW_TEAM = "writers"


class Fresh(Enum):
    """What a command uses up."""

    NOTHING = "it leaves account and token as good as they were"
    TOKEN = "it ends the token"
    ACCOUNT = "it changes the account"


class World:
    """One server with the people that cells may share."""

    def __init__(self, server: Server) -> None:
        """On a running server."""
        self.server = server
        self._tokens: dict[Token, str] = {}
        self._recoverable: Account | None = None

    @cached_property
    def helper(self) -> Account:
        """Owns every package and organisation."""
        return accounts.sign_up(self.server, accounts.fresh_name("helper"))

    @cached_property
    def bob(self) -> Account:
        """Is added."""
        return accounts.sign_up(self.server, accounts.fresh_name("bob"))

    @cached_property
    def carol(self) -> Account:
        """Is there already, and is removed."""
        return accounts.sign_up(self.server, accounts.fresh_name("carol"))

    @cached_property
    def plain(self) -> Account:
        """Without two-factor authentication."""
        return accounts.sign_up(self.server)

    @cached_property
    def enrolled(self) -> Account:
        """With two-factor authentication for auth-and-writes."""
        return accounts.enrol(accounts.sign_up(self.server))

    def shared_token(self, kind: Token) -> str:
        """A token of the shared account with two-factor authentication, made once."""
        if kind not in self._tokens:
            self._tokens[kind] = make_token(self.enrolled, kind)
        return self._tokens[kind]

    def recoverable(self) -> Account:
        """An account with a recovery code left; whoever takes the code takes it off the list."""
        if self._recoverable is None or not self._recoverable.recovery_codes:
            self._recoverable = accounts.enrol(accounts.sign_up(self.server))
        return self._recoverable


def make_token(account: Account, kind: Token) -> str:
    """A token of the account, of this kind."""
    if kind is Token.NONE:
        return ""
    if kind is Token.LOGIN:
        return account.token
    fields: dict[Token, dict[str, object]] = {
        Token.PUBLISH: {"readonly": False},
        Token.AUTOMATION: {"name": "ci", "bypass_2fa": True},
        Token.READ_ONLY: {"readonly": True},
        Token.GRANULAR: {"name": "some", "packages_all": True, "packages_and_scopes_permission": "read-write"},
        Token.BYPASS: {
            "name": "bot", "packages_all": True, "packages_and_scopes_permission": "read-write", "bypass_2fa": True,
        },
    }  # fmt: skip
    return accounts.make_token(account, **fields[kind])


class Scene:
    """One cell's account and things."""

    def __init__(self, world: World, column: Column, fresh: Fresh) -> None:
        """`fresh` is what the command uses up, and so gets for itself."""
        self.world, self.column, self.server = world, column, world.server
        if fresh is Fresh.ACCOUNT:
            self.account = accounts.sign_up(self.server)
            if column.enrolled:
                accounts.enrol(self.account)
        elif column.code is Code.RECOVERY:
            self.account = world.recoverable()
        else:
            self.account = world.enrolled if column.enrolled else world.plain
        if fresh is Fresh.TOKEN and column.token is Token.LOGIN:
            self.token = accounts.log_in(self.account)
        elif fresh is Fresh.NOTHING and self.account is world.enrolled:
            self.token = world.shared_token(column.token)
        else:
            self.token = make_token(self.account, column.token)

    def code(self) -> str | None:
        """The code that this cell shows, never used before; None where it shows none."""
        if self.column.code is Code.NONE or not self.account.secret:
            return None
        if self.column.code is Code.RECOVERY:
            return self.account.recovery_codes.pop()
        self.server.advance(3 * STEP)
        return self.code_of(self.account.secret)

    def code_of(self, secret: str) -> str:
        """What an app with this secret shows now."""
        return pyotp.TOTP(secret).at(int(self.server.now()))

    # -- the names that commands are spelled with -------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The account."""
        return self.account.name

    @property
    def password(self) -> str:
        """The account's password."""
        return self.account.password

    @cached_property
    def newcomer(self) -> str:
        """Somebody who has no account yet."""
        return accounts.fresh_name("newcomer")

    @property
    def mode(self) -> str:
        """The mode to switch to: a first factor's, or another one than is on."""
        return "auth-only" if self.column.enrolled else "auth-and-writes"

    @property
    def holder(self) -> str:
        """The account, which owns a package."""
        assert self.package
        return self.name

    @property
    def starrer(self) -> str:
        """The account, which has starred a package."""
        assert self.starred
        return self.name

    @property
    def bob(self) -> str:
        """Somebody who is to be added."""
        return self.world.bob.name

    @property
    def carol(self) -> str:
        """Somebody who is there already."""
        return self.world.carol.name

    @property
    def helper(self) -> str:
        """The other owner."""
        return self.world.helper.name

    @cached_property
    def unpublished(self) -> str:
        """A name that nothing has yet."""
        return accounts.fresh_name("core")

    @cached_property
    def package(self) -> str:
        """A public package of the account's with two versions and the dist-tags `latest` and `old`."""
        name = accounts.fresh_name("core")
        for version in (OLD, NEW):
            assert accounts.publish(self.world.helper, name, version).status == 201
        self._ask("PUT", f"/-/package/{name}/dist-tags/old", OLD)
        self._ask("PUT", f"/-/package/{name}/owners", {"user": self.name})
        return name

    @cached_property
    def with_carol(self) -> str:
        """The package, of which Carol is an owner too."""
        self._ask("PUT", f"/-/package/{self.package}/owners", {"user": self.carol})
        return self.package

    @cached_property
    def deprecated(self) -> str:
        """The package, its first version deprecated."""
        document = self._document(self.package)
        document["versions"][OLD]["deprecated"] = "old"
        self._ask("PUT", f"/{self.package}", document)
        return self.package

    @cached_property
    def starred(self) -> str:
        """The package, with the account's star."""
        self.account.ask("PUT", f"/-/user/package/{self.package}/star")
        return self.package

    @cached_property
    def org(self) -> str:
        """An organisation of the account's: Carol is a member."""
        name = accounts.fresh_name("acme")
        assert accounts.publish(self.world.helper, f"@{name}/core", OLD).status == 201
        self._ask("PUT", f"/-/org/{name}/user", {"user": self.name, "role": "owner"})
        self._ask("PUT", f"/-/org/{name}/user", {"user": self.carol, "role": "developer"})
        return name

    @cached_property
    def team(self) -> str:
        """A team of the organisation's, without members."""
        self._ask("PUT", f"/-/org/{self.org}/team", {"name": "reviewers"})
        return "reviewers"

    @cached_property
    def team_of_carol(self) -> str:
        """A team of the organisation's with Carol in it."""
        self._ask("PUT", f"/-/org/{self.org}/team", {"name": "members"})
        self._ask("PUT", f"/-/team/{self.org}/members/user", {"user": self.carol})
        return "members"

    @cached_property
    def scoped(self) -> str:
        """The organisation's public package."""
        return f"@{self.org}/core"

    @cached_property
    def granted(self) -> str:
        """That package, which the team may read."""
        body = {"package": self.scoped, "permissions": "read-only"}
        self._ask("PUT", f"/-/team/{self.org}/{self.team}/package", body)
        return self.scoped

    @cached_property
    def private(self) -> str:
        """That package, which members of the organisation alone may read."""
        self._ask("POST", f"/-/package/{quote(self.scoped, safe='@')}/access", {"access": "restricted"})
        return self.scoped

    @cached_property
    def victim(self) -> str:
        """The key of another token of the account's."""
        self._victim = accounts.publish_token(self.account)
        tokens = self.account.ask("GET", accounts.TOKENS).json["objects"]
        return str(next(token["key"] for token in tokens if token["token"] == self._victim[:12]))

    # -- how it looks ------------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Everything that a command could change, as the registry tells it to those who may know."""
        made = self.__dict__
        found: dict[str, Any] = {}
        for name in filter(None, (made.get("package"), made.get("unpublished"), made.get("scoped"))):
            found[name] = self._package(name)
        if org := made.get("org"):
            teams = [each.partition(":")[2] for each in self._ask("GET", f"/-/org/{org}/team")]
            found["members"] = self._ask("GET", f"/-/org/{org}/user")
            found["teams"] = {
                team: [self._ask("GET", f"/-/team/{org}/{team}/{what}") for what in ("user", "package")]
                for team in teams
            }
        own = self._own()
        found["profile"] = {**own.ask("GET", accounts.PROFILE).json, "updated": None}
        found["tokens"] = sorted(token["key"] for token in own.ask("GET", accounts.TOKENS).json["objects"])
        return found

    def exists(self, name: str) -> bool:
        """Whether there is an account of this name."""
        return self.world.helper.ask("GET", accounts.user_path(name)).status == 200

    def is_alive(self, token: str) -> bool:
        """Whether a token is good."""
        return request(self.server, "GET", "/-/whoami", token=token).status == 200

    def _own(self) -> Account:
        """The account, with a token that lives: the command may have ended the one that it was given."""
        if not self.is_alive(self.account.token):
            self.account.token = accounts.log_in(self.account)
        return self.account

    def _package(self, name: str) -> dict[str, Any]:
        answer = self.world.helper.ask("GET", f"/{quote(name, safe='@')}?write=true")
        if answer.status == 404:
            return {}
        document = answer.json
        access = self._ask("GET", f"/-/package/{quote(name, safe='@')}/access")
        return {
            "versions": {version: each.get("deprecated", "") for version, each in document["versions"].items()},
            "tags": document["dist-tags"],
            "owners": sorted(owner["name"] for owner in document["maintainers"]),
            "stars": sorted(document["users"]),
            "access": access,
        }

    def _document(self, name: str) -> dict[str, Any]:
        return dict(self._ask("GET", f"/{name}?write=true"))

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        answer = self.world.helper.ask(method, path, body=body)
        assert 200 <= answer.status < 300, (method, path, answer)
        return answer.json if answer.text else None


class Names(dict[str, str]):
    """The scene as the names of a command's spelling: each is made when it is named."""

    def __init__(self, scene: Scene) -> None:
        """Of this scene."""
        super().__init__()
        self._scene = scene

    def __missing__(self, name: str) -> str:
        """What stands for `{name}`."""
        return str(getattr(self._scene, name))
