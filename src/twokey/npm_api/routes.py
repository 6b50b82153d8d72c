"""Every route of the npm API, with the action that it asks the door for."""

from __future__ import annotations

from twokey.authority.actions import Action
from twokey.http.routing import Guarded
from twokey.npm_api import health, login, packages, profile, publish, search, secret_report, stars, tokens

PUT_ACTIONS = (Action.PUBLISH, Action.DEPRECATE, Action.UNPUBLISH, Action.OWNERS, Action.STAR)

ROUTES = (
    Guarded("GET", "/", (Action.PING,), health.about, ignores_credentials=True),
    Guarded("GET", "/-/ping", (Action.PING,), health.ping, ignores_credentials=True),
    Guarded("GET", "/-/health", (Action.PING,), health.health, ignores_credentials=True),
    Guarded("GET", "/-/v1/search", (Action.SEARCH,), search.search),
    Guarded("POST", "/-/v1/login", (Action.PING,), login.begin_in_browser, ignores_credentials=True),
    Guarded("GET", "/-/v1/done", (Action.PING,), login.wait_for_browser, ignores_credentials=True),
    Guarded("PUT", "/-/user/org.couchdb.user:{user:part}", (Action.LOG_IN, Action.SIGN_UP), login.log_in, ignores_credentials=True),
    Guarded("PUT", "/-/user/org.couchdb.user:{user:part}/-rev/{revision:part}", (Action.LOG_IN, Action.SIGN_UP), login.log_in, ignores_credentials=True),
    Guarded("GET", "/-/user/org.couchdb.user:{user:part}", (Action.READ_USER,), login.user_document),
    Guarded("DELETE", "/-/user/token/{token:part}", (Action.LOG_OUT,), login.log_out, ignores_credentials=True),
    Guarded("GET", "/-/user/v1/star", (Action.WHOAMI,), stars.own),
    Guarded("PUT", "/-/user/v1/star", (Action.STAR,), stars.put),
    Guarded("DELETE", "/-/user/v1/star", (Action.STAR,), stars.put),
    Guarded("PUT", "/-/user/package/{name:package}/star", (Action.STAR,), stars.put_by_path),
    Guarded("DELETE", "/-/user/package/{name:package}/star", (Action.STAR,), stars.put_by_path),
    Guarded("GET", "/-/user/{user:part}/stars", (Action.SEARCH,), stars.of_user),
    Guarded("GET", "/-/_view/starredByUser", (Action.SEARCH,), stars.starred_by_user),
    Guarded("GET", "/-/whoami", (Action.WHOAMI,), login.whoami),
    Guarded("GET", "/-/npm/v1/user", (Action.READ_PROFILE,), profile.read),
    Guarded("POST", "/-/npm/v1/user", profile.ACTIONS, profile.change),
    Guarded("GET", "/-/npm/v1/tokens", (Action.LIST_TOKENS,), tokens.listing),
    Guarded("POST", "/-/npm/v1/tokens", (Action.CREATE_TOKEN,), tokens.create),
    Guarded("DELETE", "/-/npm/v1/tokens/token/{token:part}", (Action.REVOKE_TOKEN, Action.LOG_OUT), tokens.revoke),
    Guarded("POST", "/-/twokey/secret-report", (Action.REPORT_SECRET,), secret_report.report, ignores_credentials=True),
    Guarded("GET", "/-/package/{name:package}/dist-tags", (Action.READ_PACKAGE,), packages.dist_tags),
    Guarded("PUT", "/-/package/{name:package}/dist-tags/{tag:part}", (Action.DIST_TAG,), publish.set_dist_tag),
    Guarded("POST", "/-/package/{name:package}/dist-tags/{tag:part}", (Action.DIST_TAG,), publish.set_dist_tag),
    Guarded("DELETE", "/-/package/{name:package}/dist-tags/{tag:part}", (Action.DIST_TAG,), publish.remove_dist_tag),
    Guarded("GET", "/{name:package}/-/{file:part}", (Action.READ_PACKAGE,), packages.tarball),
    Guarded("DELETE", "/{name:package}/-/{file:part}/-rev/{revision:part}", (Action.UNPUBLISH,), publish.remove_tarball),
    Guarded("PUT", "/{name:package}/-rev/{revision:part}", PUT_ACTIONS, publish.put, body_limit=None),
    Guarded("DELETE", "/{name:package}/-rev/{revision:part}", (Action.UNPUBLISH,), publish.remove_package),
    Guarded("GET", "/{name:package}/{version:part}", (Action.READ_PACKAGE,), packages.version),
    Guarded("GET", "/{name:package}", (Action.READ_PACKAGE,), packages.packument),
    Guarded("PUT", "/{name:package}", PUT_ACTIONS, publish.put, body_limit=None),
)  # fmt: skip
