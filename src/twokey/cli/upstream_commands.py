"""`twokey admin claim` and `twokey admin upstream`: whose a name is, what of upstream is served, and what is kept."""

from __future__ import annotations

import asyncio

import click

from twokey.audit.events import Event
from twokey.cli.operator import Operator, operator
from twokey.errors import ConfigurationError, NotFound, UpstreamFailed
from twokey.packages.names import PackageName
from twokey.upstream import rules
from twokey.upstream.rules import Kind
from twokey.upstream.upstream import Upstream

MIB = 1024 * 1024
REASON = click.option("--reason", default="", help="Why; whoever meets the rule is told.")
REMOVE = click.option("--remove", is_flag=True, help="Take the rule back.")


@click.command()
@click.argument("pattern")
@REMOVE
@click.pass_context
def claim(ctx: click.Context, pattern: str, remove: bool) -> None:
    """Claim names for this registry: @scope, a name, or a pattern such as acme-*. They are never asked of upstream."""
    _rule(ctx, Kind.CLAIM, pattern, "", remove)
    if remove:
        click.echo(f"{pattern} is no longer claimed: packages of such names may come from upstream.")
    else:
        click.echo(f"{pattern} is claimed: packages of such names never come from upstream.")


@click.group()
def upstream() -> None:
    """The upstream, and what is kept of it."""


@upstream.command()
@click.argument("spec")
@REASON
@REMOVE
@click.pass_context
def block(ctx: click.Context, spec: str, reason: str, remove: bool) -> None:
    """Serve no such version: NAME, NAME@1.2.3, "NAME@>=1.0.0 <2.0.0", @scope, or a pattern."""
    _rule(ctx, Kind.BLOCK, spec, reason, remove)
    click.echo(f"{spec} is no longer blocked." if remove else f"{spec} is blocked: it is not served from upstream.")


@upstream.command()
@click.argument("spec")
@REASON
@REMOVE
@click.pass_context
def allow(ctx: click.Context, spec: str, reason: str, remove: bool) -> None:
    """Serve such versions however young: NAME@1.2.3 for an urgent fix. What is blocked or malicious stays so."""
    _rule(ctx, Kind.ALLOW, spec, reason, remove)
    click.echo(f"{spec} is served once it is old enough." if remove else f"{spec} is served however young it is.")


@upstream.command("rules")
@click.pass_context
def list_rules(ctx: click.Context) -> None:
    """List claims, blocked and allowed versions."""
    with operator(ctx) as work:
        work.permit()
        with work.registry.database.read() as connection:
            found = rules.every(connection)
    if not found:
        click.echo("There is no rule: twokey admin claim @scope makes one.")
    for rule in found:
        versions = "" if rule.versions == rules.ALL else f"@{rule.versions}"
        click.echo(f"{rule.kind.value:<6} {rule.pattern}{versions}  {rule.reason}".rstrip())


@upstream.command()
@click.pass_context
def status(ctx: click.Context) -> None:
    """Tell the address, whether it answers, and how much is kept. Exit 1 where it does not answer."""
    with operator(ctx) as work:
        work.permit()
        found = _of(work)
        usage = found.storage.usage()
        most = work.registry.settings.upstream_cache
        problem = asyncio.run(_problem(found))
    click.echo(f"address: {found.client.address}")
    click.echo(f"answers: {'yes' if problem is None else problem}")
    click.echo(f"documents: {usage.documents}, {usage.document_bytes / MIB:.1f} MiB")
    click.echo(f"tarballs: {usage.tarballs}, {usage.tarball_bytes / MIB:.1f} MiB")
    click.echo(f"kept: {usage.bytes / MIB:.1f} of at most {most} MiB")
    if problem is not None:
        ctx.exit(1)


@upstream.command()
@click.argument("name", required=False)
@click.pass_context
def refresh(ctx: click.Context, name: str | None) -> None:
    """Ask upstream at the next request whether documents have changed: that of NAME, or all."""
    with operator(ctx) as work:
        work.permit()
        storage = _of(work).storage
        names = list(storage.names()) if name is None else [PackageName.parse(name)]
        # old enough to be asked about, and young enough to be given while upstream is down
        ago = work.registry.settings.upstream_fresh * 1_000_000
        count = sum(storage.checked(each, ago) for each in names)
    if name is not None and not count:
        raise NotFound(f"No document of {name} is kept.")
    click.echo(f"Upstream is asked again about {count} document{'s' if count != 1 else ''}.")


@upstream.command()
@click.argument("name", required=False)
@click.pass_context
def purge(ctx: click.Context, name: str | None) -> None:
    """Remove what is kept: of NAME, or everything. It is fetched again when somebody asks for it."""
    with operator(ctx) as work:
        found = _of(work)
        with work.registry.door.write(work.permit()) as tx:
            tx.record(Event.UPSTREAM_PURGE, resource=f"upstream:{name or '*'}")
            count = found.purge(None if name is None else PackageName.parse(name))
    click.echo(f"{count} file{'s' if count != 1 else ''} of upstream removed.")


def _rule(ctx: click.Context, kind: Kind, spec: str, reason: str, remove: bool) -> None:
    with operator(ctx) as work, work.registry.door.write(work.permit()) as tx:
        if remove:
            rules.remove(tx, kind, spec)
        else:
            rules.add(tx, kind, spec, reason)


def _of(work: Operator) -> Upstream:
    if work.registry.upstream is None:
        raise ConfigurationError("There is no upstream: TWOKEY_UPSTREAM names one.")
    return work.registry.upstream


async def _problem(found: Upstream) -> str | None:
    """Why upstream does not answer; None where it does, whatever it has at that address."""
    try:
        await found.client.json("-/ping")
    except UpstreamFailed as error:
        return error.message
    finally:
        await found.close()
    return None
