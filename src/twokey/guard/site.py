"""The settings that an administrator may change while the registry runs, over those that it was started with."""

from __future__ import annotations

from sqlalchemy import Connection

from twokey.accounts import site_settings
from twokey.accounts.site_settings import Site
from twokey.settings import Settings
from twokey.tokens.tokens import Lifetimes


def default(settings: Settings) -> Site:
    """What holds as long as no administrator says otherwise."""
    return Site(
        signup=settings.signup_mode,
        require_2fa=settings.require_2fa,
        require_2fa_from=0,
        lifetimes=Lifetimes(
            login=settings.lifetime_login,
            publish=settings.lifetime_publish,
            automation=settings.lifetime_automation,
            granular=settings.lifetime_granular,
            read_only=settings.lifetime_read_only,
            maximum=settings.lifetime_maximum,
        ),
    )


def current(connection: Connection, settings: Settings) -> Site:
    """What holds now, on every node alike: it is read with the facts of each question that it bears on."""
    return site_settings.read(connection, default(settings))
