"""`twokey admin signing-key`: the keys that sign published versions."""

from __future__ import annotations

import click

from twokey.cli.operator import operator
from twokey.clock import iso
from twokey.packages import signing


@click.group("signing-key")
def signing_key() -> None:
    """The keys that sign published versions."""


@signing_key.command("list")
@click.pass_context
def list_signing_keys(ctx: click.Context) -> None:
    """List the keys, the newest first."""
    with operator(ctx) as work:
        work.permit()
        with work.registry.database.read() as connection:
            keys = signing.listing(connection)
    for key in keys:
        state = "in use" if key.expires_at is None else f"until {iso(key.expires_at)}"
        click.echo(f"{key.keyid}  made {iso(key.created_at)}  {state}")


@signing_key.command("rotate")
@click.pass_context
def rotate_signing_key(ctx: click.Context) -> None:
    """Make a new key, which signs from now on. What the old one signed stays verifiable."""
    with operator(ctx) as work, work.registry.door.write(work.permit()) as tx:
        new, old = work.registry.signer.rotate(tx)
    click.echo(f"Versions are signed with {new.keyid} from now on.")
    if old is not None:
        click.echo(f"{old.keyid} stays published for what it signed.")
