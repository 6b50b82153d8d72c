"""What every command begins with: the settings of the run, and the registry that they describe.

The settings are read before the registry is imported, which takes a second: a wrong one is told at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from twokey.clock import Clock
from twokey.errors import ConfigurationError
from twokey.settings import Settings, environment, read

if TYPE_CHECKING:
    from twokey.figures import Figures
    from twokey.registry import Registry


def settings_from(ctx: click.Context) -> Settings:
    """The settings, from the environment and the options of `twokey` itself. Raises ConfigurationError."""
    return read(environment(ctx.obj))


def opened(settings: Settings, clock: Clock, figures: Figures | None = None) -> Registry:
    """The registry that the settings describe. `figures`: those of all workers.

    Raises ConfigurationError for what stops a start.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from twokey.registry import open_registry

    try:
        return open_registry(settings, clock, figures)
    except ImportError as error:
        if error.name not in (None, "psycopg"):
            sentence = f"The package {error.name} is missing: install twokey and what it needs anew."
        else:  # the driver of PostgreSQL is an extra, and says None where its library is missing
            sentence = 'The database cannot be opened: its driver is missing, install twokey with the extra "postgres".'
        raise ConfigurationError(sentence) from error
    except SQLAlchemyError as error:
        sentence = f"The database cannot be opened: {_reason(error)}. Look at TWOKEY_DATABASE."
        raise ConfigurationError(sentence) from error


def _reason(error: Exception) -> str:
    """The driver's own words on one line; SQLAlchemy's would repeat the statement and its values."""
    return " ".join(str(getattr(error, "orig", None) or type(error).__name__).split()).rstrip(".")
