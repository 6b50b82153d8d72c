"""`twokey`: serve, and administer the data folder.

Imports as little as it can before it knows the command: `twokey --version` answers at once.
"""

from __future__ import annotations

import os
import sys

import click

import twokey
from twokey.errors import TwokeyError


class Group(click.Group):
    """A group that answers what twokey refuses with its sentence and exit 2, without a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except TwokeyError as error:
            click.echo(f"twokey: {error.message}", err=True)
            sys.exit(2)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(twokey.__version__, prog_name="twokey")
@click.option("--data", metavar="FOLDER", help="The data folder, in place of TWOKEY_DATA.")
@click.pass_context
def cli(ctx: click.Context, data: str | None) -> None:
    """An npm-compatible registry where a stolen password or token alone cannot publish."""
    os.umask(0o077)  # whatever is made in the data folder is its owner's alone, even where the folder was there before
    ctx.obj = {"TWOKEY_DATA": data} if data else {}


@cli.command()
@click.pass_context
def serve(ctx: click.Context) -> None:
    """Serve the registry until Ctrl-C or SIGTERM."""
    from twokey.cli.context import settings_from
    from twokey.clock import SystemClock

    settings = settings_from(ctx)
    from twokey.cli.serve import run

    sys.exit(run(settings, clock=SystemClock()))


@cli.group()
def admin() -> None:
    """Administer the registry in the data folder. Every change is recorded in its audit trail."""


def main() -> None:
    """The entry of the console script."""
    if "admin" in sys.argv:  # its modules are slow to import and of no use to the rest
        from twokey.cli import admin_commands

        admin_commands.register(admin)
    cli(prog_name="twokey")
