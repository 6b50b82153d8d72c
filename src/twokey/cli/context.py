"""The settings of a run of the command line."""

from __future__ import annotations

import click

from twokey import settings
from twokey.settings import Settings


def settings_from(ctx: click.Context) -> Settings:
    """The settings, from the environment and the options of `twokey` itself. Raises ConfigurationError."""
    return settings.read(settings.environment(ctx.obj))
