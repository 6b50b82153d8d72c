"""Every page and every form, with the action that it asks the door for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from twokey.authority.actions import Action
from twokey.http.answers import Answer
from twokey.http.routing import Call, Guarded, Handler
from twokey.web import (
    account,
    admin,
    admin_packages,
    admin_site,
    closing,
    confirm,
    hand_off,
    home,
    login,
    mailed,
    orgs,
    package_settings,
    packages,
    security_keys,
    stars,
    teams,
    tokens,
    two_factor,
)
from twokey.web.visit import Visit

Page = Callable[[Visit], Answer]


def _visited(handler: Page) -> Handler:
    def run(call: Call) -> Answer:
        assert isinstance(call, Visit)
        return handler(call)

    return run


def _page(path: str, actions: tuple[Action, ...], handler: Page) -> Guarded:
    return Guarded("GET", path, actions, _visited(handler))


def _form(path: str, actions: tuple[Action, ...], handler: Page) -> Guarded:
    return Guarded("POST", path, actions, _visited(handler))


# Served whatever Accept says.
ASSETS = (
    Guarded("GET", "/-/static/{file:part}", (Action.PING,), home.static_file, ignores_credentials=True),
    Guarded("GET", "/favicon.ico", (Action.PING,), home.favicon, ignores_credentials=True),
)

_READ = (Action.ADMIN_READ, Action.READ_PROFILE)  # the second is asked for where a second factor is to be shown first
_CHANGE, _RESET = (Action.ADMIN_CHANGE,), (Action.ADMIN_SECOND_FACTOR,)

ADMIN_PAGES = (
    _page("/admin", _READ, admin.page(admin.overview)),
    _page("/admin/users", _READ, admin.page(admin.users_page)),
    _page("/admin/users/{user:part}", _READ, admin.page(admin.user_page)),
    _page("/admin/invitations", _READ, admin.page(admin.invitations_page)),
    _page("/admin/packages", _READ, admin.page(admin_packages.packages_page)),
    _page("/admin/packages/{name:package}", _READ, admin.page(admin_packages.package_page)),
    _page("/admin/settings", _READ, admin.page(admin_site.settings_page)),
    _page("/admin/audit", _READ, admin.page(admin_site.audit_page)),
    _page("/admin/audit/export", _READ, admin.page(admin_site.export)),
    _page("/admin/health", _READ, admin.page(admin_site.health_page)),
)

ADMIN_FORMS = (
    _form(admin.ENTER, _READ, admin.enter),
    _form("/admin/users/{user:part}/disable", _CHANGE, admin.form(admin.disable, admin.user_page)),
    _form("/admin/users/{user:part}/enable", _CHANGE, admin.form(admin.enable, admin.user_page)),
    _form("/admin/users/{user:part}/reset", _RESET, admin.form(admin.ask_reset, admin.user_page)),
    _form("/admin/users/{user:part}/approve-reset", _RESET, admin.form(admin.approve_reset, admin.user_page)),
    _form("/admin/users/{user:part}/cancel-reset", _CHANGE, admin.form(admin.cancel_reset, admin.user_page)),
    _form("/admin/invitations", _CHANGE, admin.form(admin.invite, admin.invitations_page)),
    _form("/admin/invitations/withdraw", _CHANGE, admin.form(admin.withdraw_invitation, admin.invitations_page)),
    _form("/admin/settings", _CHANGE, admin.form(admin_site.save_settings, admin_site.settings_page)),
    *(
        _form(f"/admin/packages/{{name:package}}/{verb}", _CHANGE, admin.form(act, admin_packages.package_page))
        for verb, act in admin_packages.ACTS.items()
    ),
)

_MEMBER = Action.READ_ORGANISATION
_ORG, _TEAM = "/org/{organisation:part}", "/org/{organisation:part}/team/{team:part}"

ORGANISATION_PAGES = (
    _page("/orgs", (Action.READ_PROFILE,), orgs.list_page),
    _page(_ORG, (Action.SEARCH, _MEMBER), orgs.page),
    _page(_TEAM, (_MEMBER,), teams.page),
)

ORGANISATION_FORMS = (
    _form("/orgs", (Action.READ_PROFILE, Action.CREATE_ORGANISATION), orgs.create),
    _form(f"{_ORG}/members", (_MEMBER, Action.ORGANISATION), orgs.set_member),
    _form(f"{_ORG}/members/remove", (_MEMBER, Action.ORGANISATION), orgs.remove_member),
    _form(f"{_ORG}/settings", (_MEMBER, Action.ORGANISATION), orgs.set_policy),
    _form(f"{_ORG}/leave", (_MEMBER, Action.LEAVE_ORGANISATION), orgs.leave),
    _form(f"{_ORG}/delete", (_MEMBER, Action.ORGANISATION), orgs.delete),
    _form(f"{_ORG}/teams", (_MEMBER, Action.TEAMS), orgs.create_team),
    _form(f"{_TEAM}/members", (_MEMBER, Action.TEAMS), teams.add_member),
    _form(f"{_TEAM}/members/remove", (_MEMBER, Action.TEAMS), teams.remove_member),
    _form(f"{_TEAM}/packages", (_MEMBER, Action.ACCESS), teams.grant),
    _form(f"{_TEAM}/packages/revoke", (_MEMBER, Action.ACCESS), teams.revoke),
    _form(f"{_TEAM}/description", (_MEMBER, Action.TEAMS), teams.describe),
    _form(f"{_TEAM}/delete", (_MEMBER, Action.TEAMS), teams.delete),
)

_OF_PACKAGE = "/package/{name:package}/access"
PACKAGE_FORMS = tuple(
    _form(f"{_OF_PACKAGE}/{verb}", (Action.READ_SETTINGS, action), act)
    for verb, (action, act) in package_settings.ACTS.items()
)

# Served where Accept names text/html.
PAGES = (
    _page("/", (Action.SEARCH,), home.home),
    _page("/search", (Action.SEARCH,), home.search_page),
    _page("/guide", (Action.PING,), home.guide),
    _page("/~{user:part}", (Action.SEARCH,), home.user_page),
    _page("/package/{name:package}", (Action.READ_PACKAGE,), packages.package_page),
    _page("/package/{name:package}/v/{version:part}", (Action.READ_PACKAGE,), packages.package_page),
    _page("/signup", (Action.PING,), login.signup_page),
    _page("/login", (Action.PING,), login.login_page),
    _page("/forgot", (Action.PING,), mailed.forgot_page),
    _page("/reset/{link:part}", (Action.PING,), mailed.reset_page),
    _page("/verify/{link:part}", (Action.PING,), mailed.verify_page),
    _page("/undo/{link:part}", (Action.PING,), mailed.undo_page),
    _page("/settings", (Action.READ_PROFILE,), account.to_profile),
    _page("/settings/{user:part}", (Action.READ_PROFILE,), account.to_profile),
    _page("/settings/{user:part}/profile", (Action.READ_PROFILE,), account.profile_page),
    _page("/settings/{user:part}/password", (Action.READ_PROFILE,), account.password_page),
    _page("/settings/{user:part}/sessions", (Action.READ_PROFILE,), account.sessions_page),
    _page("/settings/{user:part}/security", (Action.READ_PROFILE,), account.security_page),
    _page("/settings/{user:part}/packages", (Action.READ_PROFILE,), account.packages_page),
    _page("/settings/{user:part}/2fa", (Action.READ_PROFILE,), two_factor.overview),
    _page("/settings/{user:part}/2fa/authenticator", (Action.READ_PROFILE,), two_factor.wizard),
    _page("/settings/{user:part}/2fa/security-key", (Action.READ_PROFILE,), security_keys.wizard),
    _page("/login/cli/{id:part}", (Action.READ_PROFILE,), hand_off.page),
    _page("/auth/cli/{id:part}", (Action.READ_PROFILE,), hand_off.page),
    _page("/settings/{user:part}/tokens", (Action.LIST_TOKENS,), tokens.listing),
    _page("/settings/{user:part}/tokens/new", (Action.LIST_TOKENS,), tokens.new),
    _page("/settings/{user:part}/close", (Action.READ_PROFILE,), closing.close_page),
    _page(_OF_PACKAGE, (Action.READ_SETTINGS,), package_settings.page),
    *ORGANISATION_PAGES,
    *ADMIN_PAGES,
)


_FACTOR = (Action.READ_PROFILE, Action.CHANGE_SECOND_FACTOR)
_CONFIRM = (Action.READ_PROFILE, Action.CONFIRM_ENROLMENT, Action.CONFIRM_FACTOR)
_VERIFY = (Action.READ_PROFILE, Action.SEND_VERIFICATION)
_KEEP = (Action.READ_PROFILE, Action.KEEP_SECOND_FACTOR)
_ENROL = (*_FACTOR, Action.BEGIN_ENROLMENT)

# Forms that wait for a step-up and are carried out after it.
SETTINGS = (
    _form("/settings/{user:part}/profile", (Action.READ_PROFILE, Action.CHANGE_PROFILE), account.save_profile),
    _form("/settings/{user:part}/email", (Action.READ_PROFILE, Action.CHANGE_EMAIL), account.save_email),
    _form("/settings/{user:part}/email/confirm", _VERIFY, account.confirm_email),
    _form("/settings/{user:part}/password", (Action.READ_PROFILE, Action.CHANGE_PASSWORD), account.save_password),
    _form("/settings/{user:part}/sessions/end", (Action.READ_PROFILE, Action.REVOKE_TOKEN), account.end_session),
    _form("/settings/{user:part}/2fa/add", _ENROL, two_factor.add_authenticator),
    _form("/settings/{user:part}/2fa/cancel", _ENROL, two_factor.cancel),
    _form("/settings/{user:part}/2fa/authenticator", _CONFIRM, two_factor.confirm_authenticator),
    _form("/settings/{user:part}/2fa/security-keys", _ENROL, security_keys.add),
    _form("/settings/{user:part}/2fa/security-key", _CONFIRM, security_keys.confirm),
    _form("/settings/{user:part}/2fa/security-keys/rename", _FACTOR, security_keys.rename),
    _form("/settings/{user:part}/2fa/security-keys/remove", _FACTOR, security_keys.remove),
    _form("/settings/{user:part}/2fa/browser", _FACTOR, security_keys.ask_in_browser),
    _form("/login/cli/{id:part}", (Action.READ_PROFILE, Action.APPROVE_LOGIN, Action.DENY_HAND_OFF), hand_off.decide),
    _form("/auth/cli/{id:part}", (Action.READ_PROFILE, Action.APPROVE_PROOF, Action.DENY_HAND_OFF), hand_off.decide),
    _form("/settings/{user:part}/2fa/remove", _FACTOR, two_factor.remove_authenticator),
    _form("/settings/{user:part}/2fa/mode", _FACTOR, two_factor.change_mode),
    _form("/settings/{user:part}/2fa/disable", _FACTOR, two_factor.disable),
    _form("/settings/{user:part}/2fa/recovery-codes", _FACTOR, two_factor.regenerate),
    _form("/settings/{user:part}/2fa/saved", (Action.READ_PROFILE,), two_factor.saved),
    _form("/settings/{user:part}/tokens", (Action.LIST_TOKENS, Action.CREATE_TOKEN), tokens.create),
    _form("/settings/{user:part}/tokens/rotate", (Action.LIST_TOKENS, Action.CREATE_TOKEN), tokens.rotate),
    _form("/settings/{user:part}/tokens/revoke", (Action.LIST_TOKENS, Action.REVOKE_TOKEN), tokens.revoke),
    _form("/settings/{user:part}/close", (Action.READ_PROFILE, Action.CLOSE_ACCOUNT), closing.close_account),
    _form("/settings/{user:part}/security/keep", _KEEP, closing.keep_second_factor),
    *ORGANISATION_FORMS,
    *PACKAGE_FORMS,
    *ADMIN_FORMS,
)  # fmt: skip

FORMS = (
    *SETTINGS,
    _form("/package/{name:package}/star", (Action.STAR,), stars.change),
    _form("/signup", (Action.SIGN_UP, Action.PING), login.sign_up),
    _form("/login", (Action.LOG_IN, Action.PING), login.log_in),
    _form("/security-key/challenge", (Action.PING,), security_keys.challenge),
    _form("/forgot", (Action.REQUEST_RESET,), mailed.forgot),
    _form("/reset/{link:part}", (Action.RESET_PASSWORD, Action.PING), mailed.reset),
    _form("/verify/{link:part}", (Action.VERIFY_EMAIL, Action.PING), mailed.verify),
    _form("/undo/{link:part}", (Action.UNDO_EMAIL, Action.PING), mailed.undo),
    _form("/logout", (Action.LOG_OUT,), login.log_out),
    _form(
        "/confirm",
        tuple({Action.READ_PROFILE: None, **{action: None for form in SETTINGS for action in form.actions}}),
        partial(confirm.carry_out, forms=SETTINGS),
    ),
)
