"""What every command begins with: the settings of the run, and the registry that they describe."""

from __future__ import annotations

import os

import click
from sqlalchemy.exc import SQLAlchemyError

from twokey.clock import Clock
from twokey.errors import ConfigurationError
from twokey.registry import Registry, open_registry
from twokey.settings import Settings, environment, read

PRIVATE = 0o077


def settings_from(ctx: click.Context) -> Settings:
    """The settings, from the environment and the options of `twokey` itself. Raises ConfigurationError."""
    return read(environment(ctx.obj))


def opened(settings: Settings, clock: Clock) -> Registry:
    """The registry, its files private to the user who runs this. Raises ConfigurationError for what stops a start."""
    os.umask(PRIVATE)  # a data folder that was there before may be open to others; what is written into it is not
    try:
        return open_registry(settings, clock)
    except (SQLAlchemyError, ImportError) as error:  # ImportError: the driver of PostgreSQL is an extra
        sentence = f"The database cannot be opened: {_reason(error)}. Look at TWOKEY_DATABASE."
        raise ConfigurationError(sentence) from error


def _reason(error: SQLAlchemyError | ImportError) -> str:
    """The driver's own words on one line; SQLAlchemy's would repeat the statement and its values."""
    if isinstance(error, ImportError):
        return 'its driver is missing, install "twokey[postgres]"'
    return " ".join(str(getattr(error, "orig", None) or type(error).__name__).split()).rstrip(".")
