"""The front page, search, a user's page, the guide, and the files that pages use."""

from __future__ import annotations

from sqlalchemy import select

from twokey.accounts import users
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.clock import iso
from twokey.db.schema import Owner, Package, SearchDocument
from twokey.errors import Invalid, NotFound
from twokey.http.answers import Answer
from twokey.http.routing import Call
from twokey.packages import search, stars
from twokey.web import render
from twokey.web.visit import Visit

RECENT = 12
PAGE_SIZE = 20
LAST_PAGE = 500
MOST_SHOWN = 500


def home(visit: Visit) -> Answer:
    """`GET /`: what this is, how to point a client at it, what was published last."""
    visit.ask(Action.SEARCH, Target())
    with visit.registry.database.read() as connection:
        recent = search.find(connection, "", user_id=_reader(visit), size=RECENT, offset=0)
    return render.page(visit, "home.html", recent=recent.hits)


def search_page(visit: Visit) -> Answer:
    """`GET /search?q=`."""
    visit.ask(Action.SEARCH, Target())
    text, page = " ".join(visit.query.get("q", "").split()), _page(visit.query.get("page", "1"))
    with visit.registry.database.read() as connection:
        found = search.find(connection, text, user_id=_reader(visit), size=PAGE_SIZE, offset=(page - 1) * PAGE_SIZE)
    return render.page(visit, "search.html", found=found, query=text, page=page, last=-(-found.total // PAGE_SIZE) or 1)


def user_page(visit: Visit) -> Answer:
    """`GET /~USER`: a user, their packages and the ones that they starred, as far as the reader may know of them."""
    visit.ask(Action.SEARCH, Target())
    with visit.registry.database.read() as connection:
        account = users.find(connection, visit.params["user"])
        if account is None or account.disabled:
            raise NotFound("Not found")
        mine = select(Owner.package_id).where(Owner.user_id == account.id)
        query = (
            select(Package.name, Package.access, SearchDocument.version, SearchDocument.description,
                   SearchDocument.published_at)
            .join(SearchDocument, SearchDocument.package_id == Package.id)
            .where(Package.id.in_(mine), Package.unpublished_at.is_(None), search.visible_to(_reader(visit)))
            .order_by(Package.name).limit(MOST_SHOWN + 1)
        )  # fmt: skip
        packages = connection.execute(query).all()
        starred = stars.of_user(connection, account.id, reader_id=_reader(visit))
    return render.page(
        visit, "user.html", account=account, packages=packages[:MOST_SHOWN], starred=starred,
        more=len(packages) > MOST_SHOWN,
    )  # fmt: skip


def guide(visit: Visit) -> Answer:
    """`GET /guide`: "Setting Up npm 2FA with Authenticator App", for this very instance."""
    visit.ask(Action.PING, Target())
    registry = visit.registry
    return render.page(
        visit, "guide.html", name=visit.user if visit.signed_in else "YOUR_USERNAME",
        server_time=iso(registry.clock.now()), continuation=registry.settings.otp_continuation,
    )  # fmt: skip


def static_file(call: Call) -> Answer:
    """`GET /-/static/FILE`: style sheet, script, icon. Their address changes with their bytes."""
    call.require(Action.PING, Target())
    found = render.asset(call.params["file"])
    if found is None:
        raise NotFound("Not found")
    return Answer(200, found[0], found[1], {"cache-control": "public, max-age=31536000, immutable"})


def favicon(call: Call) -> Answer:
    """`GET /favicon.ico`: for browsers that ask for it whatever the page says."""
    call.params["file"] = "favicon.svg"
    return static_file(call)


def _reader(visit: Visit) -> int | None:
    return visit.caller.principal.user_id


def _page(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:4]) <= LAST_PAGE:
        raise Invalid(f"The page is a number from 1 to {LAST_PAGE}.")
    return int(text)
