"""`twokey admin`: what only the operator may do, on the data folder. Every change goes through the door."""

from __future__ import annotations

import json
import sys
from collections import deque

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from twokey.accounts import users
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.cli import advisory_commands, signing_commands, upkeep, upstream_commands
from twokey.cli.operator import operator
from twokey.clock import iso
from twokey.errors import Invalid
from twokey.two_factor import enrolment, recovery_codes
from twokey.two_factor.limits import account_key

PIPE_WIDTH = 1000  # a row is one line for whatever reads it


def _new_password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password


@click.group()
def user() -> None:
    """Accounts."""


@user.command()
@click.argument("name")
@click.option("--email", default="", help="The account's mail address.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking.")
@click.option("--administrator", is_flag=True, help="Make the account an administrator at once.")
@click.pass_context
def create(ctx: click.Context, name: str, email: str, password_stdin: bool, administrator: bool) -> None:
    """Make an account."""
    with operator(ctx) as work:
        users.check_name(name)
        if email:
            users.check_email(email)
        password_hash = work.registry.passwords.hash(
            _new_password(password_stdin), context=users.guessable(name, email)
        )
        with work.registry.door.write(work.permit(Action.SIGN_UP, name)) as tx:
            users.create(tx, name, email, password_hash, administrator=administrator)
    click.echo(f"The account {name} is made. It signs in with: npm login")


@user.command("list")
@click.pass_context
def list_users(ctx: click.Context) -> None:
    """List the accounts."""
    with operator(ctx) as work:
        work.permit()
        with work.registry.database.read() as connection:
            accounts = users.every(connection)
    if not accounts:
        click.echo("There is no account yet: twokey admin user create NAME makes one.")
        return
    table = Table(
        "name", Column("email", overflow="fold"), "two-factor auth", "administrator", "state", "created", box=None
    )
    for each in accounts:
        state = "closed" if each.disabled else ("codes suspended" if each.suspended else "open")
        admin = "yes" if each.administrator else ""
        # Mail addresses may hold brackets, which would be markup.
        table.add_row(each.name, Text(each.email), each.mode or "disabled", admin, state, iso(each.created_at)[:10])
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)


@user.command()
@click.argument("name")
@click.pass_context
def show(ctx: click.Context, name: str) -> None:
    """Show one account."""
    with operator(ctx) as work:
        work.permit(account=name)
        with work.registry.database.read() as connection:
            account = users.get(connection, name)
            facts = {
                "name": account.name,
                "email": account.email,
                "two-factor auth": account.mode or "disabled",
                "recovery codes left": recovery_codes.left(connection, account.id),
                "codes suspended": account.suspended,
                "administrator": account.administrator,
                "closed": account.disabled,
                "tokens": users.live_tokens(connection, account.id),
                "created": iso(account.created_at),
                "updated": iso(account.updated_at),
            }
    for key, value in facts.items():
        click.echo(f"{key}: {value}")


@user.command()
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking.")
@click.pass_context
def password(ctx: click.Context, name: str, password_stdin: bool) -> None:
    """Give an account a new password. Two-factor authentication stays as it is."""
    with operator(ctx) as work:
        with work.registry.database.read() as connection:
            account = users.get(connection, name)
        password_hash = work.registry.passwords.hash(
            _new_password(password_stdin), context=users.guessable(name, account.email)
        )
        with work.registry.door.write(work.permit(Action.CHANGE_PASSWORD, name)) as tx:
            users.change_password(tx, account.id, name, password_hash)
    click.echo(f"The account {name} has a new password.")


def _switch(command: str, help_text: str, said: str) -> click.Command:
    @click.argument("name")
    @click.pass_context
    def run(ctx: click.Context, name: str) -> None:
        with operator(ctx) as work, work.registry.door.write(work.permit(account=name)) as tx:
            if command in ("disable", "enable"):
                users.set_disabled(tx, name, command == "disable")
            else:
                users.set_administrator(tx, name, command == "grant")
        click.echo(said.format(name=name))

    return click.command(command, help=help_text)(run)


for _command, _help, _said in (
    ("disable", "Close an account to every credential.", "The account {name} is closed: its tokens are refused."),
    ("enable", "Open a closed account again.", "The account {name} is open again."),
    ("grant", "Make an account an administrator.", "{name} is an administrator."),
    ("revoke", "Make an administrator an ordinary account.", "{name} is no longer an administrator."),
):  # fmt: skip
    user.add_command(_switch(_command, _help, _said))


@click.group("second-factor")
def second_factor() -> None:
    """Second factors."""


@second_factor.command()
@click.argument("name")
@click.pass_context
def reset(ctx: click.Context, name: str) -> None:
    """Take an account's second factor away, for a user who lost phone and recovery codes.

    Make sure by another way that it is the account's owner who asks.
    """
    with operator(ctx) as work, work.registry.door.write(work.permit(account=name)) as tx:
        account = users.get(tx.connection, name)
        enrolment.disable(tx, account.id, Event.SECOND_FACTOR_RESET)
        users.forget_attempts(tx, [account_key(account.id)])
    click.echo(f"Two-factor authentication of {name} is off. {name} should turn it on again at once:")
    click.echo("  npm profile enable-2fa auth-and-writes")


@click.group()
def audit() -> None:
    """The audit trail."""


@audit.command("list")
@click.option("--user", "account", help="Only events of this account.")
@click.option("--event", help="Only events of this kind, such as package:version:publish.")
@click.option("--last", default=50, show_default=True, type=click.IntRange(1), help="How many, the newest.")
@click.pass_context
def list_events(ctx: click.Context, account: str | None, event: str | None, last: int) -> None:
    """List recent events."""
    if event is not None and event not in list(Event):
        raise Invalid(f"There is no event {event!r}: docs/operate.md lists them all.")
    with operator(ctx) as work:
        work.permit()
        entries = deque(work.registry.trail.entries(account=account, event=event), maxlen=last)
    for entry in entries:
        document = entry.document
        at = document["at"]
        assert isinstance(at, int)
        reason = f" ({document['reason']})" if document["reason"] else ""
        who = document["actor"] or document["account"] or "-"
        columns = f"{entry.seq:>7}  {iso(at)}  {document['event']:<34} {document['outcome']:<8} {who:<16}"
        click.echo(f"{columns} {document['resource']}{reason}")


@audit.command()
@click.pass_context
def export(ctx: click.Context) -> None:
    """Print every event as a line of JSON with its hash, for another system to keep."""
    with operator(ctx) as work:
        work.permit()
        for entry in work.registry.trail.entries():
            click.echo(json.dumps({"hash": entry.hash, "event": entry.document}, ensure_ascii=False, sort_keys=True))


@audit.command()
@click.pass_context
def verify(ctx: click.Context) -> None:
    """Recompute the hash chain and hold it against the signed checkpoints. Exit 1 where it does not hold."""
    with operator(ctx) as work:
        work.permit()
        verdict = work.registry.checkpoints.verify()
    if verdict.reason is not None:
        click.echo(f"The audit trail does not hold: {verdict.reason}. {verdict.events} events before it do.", err=True)
        sys.exit(1)
    click.echo(f"The audit trail holds: {verdict.events} events.")


@click.group("mail")
def mails() -> None:
    """The outbox."""


@mails.command("list")
@click.option("--last", default=50, show_default=True, type=click.IntRange(1), help="How many, the newest.")
@click.pass_context
def list_mails(ctx: click.Context, last: int) -> None:
    """List recent mails: those that wait, those that were sent, those that were given up."""
    with operator(ctx) as work:
        work.permit()
        found = work.registry.outbox.listing(last)
    if not found:
        click.echo("There is no mail in the outbox.")
    for each in found:
        error = f" ({each.attempts} tries: {each.last_error})" if each.last_error else ""
        click.echo(f"{each.id}  {iso(each.created_at)}  {each.state:<8}  {each.recipient}  {each.subject}{error}")


@mails.command("show")
@click.argument("id", metavar="ID")
@click.pass_context
def show_mail(ctx: click.Context, id: str) -> None:
    """Show one mail with its text. A link in it is a secret: hand it to nobody but the recipient."""
    with operator(ctx) as work:
        work.permit()
        found, text = work.registry.outbox.show(id)
    click.echo(f"To: {found.recipient}\nSubject: {found.subject}\nDate: {iso(found.created_at)}\n\n{text}", nl=False)


@click.group()
def keys() -> None:
    """The keys of the vault."""


@keys.command()
@click.pass_context
def rotate(ctx: click.Context) -> None:
    """Make a new key and seal every secret under it. Interrupted, it goes on when it is run again."""
    with operator(ctx) as work:
        report = upkeep.rotate_keys(work.registry, work.permit())
    click.echo(report)


@click.command()
@click.pass_context
def fsck(ctx: click.Context) -> None:
    """Read every tarball again and compare. Exit 1 where one is missing or broken."""
    with operator(ctx) as work:
        report = upkeep.check_blobs(work.registry, work.permit())
    for line in report.lines:
        click.echo(line)
    sys.exit(1 if report.faults else 0)


@click.command()
@click.pass_context
def gc(ctx: click.Context) -> None:
    """Remove tarballs that no version names and that are older than 24 hours, and rows that have run out."""
    with operator(ctx) as work:
        for line in upkeep.collect_garbage(work.registry, work.permit()):
            click.echo(line)


def register(admin: click.Group) -> None:
    """Hangs every command into `twokey admin`."""
    for command in (
        user, second_factor, audit, mails, keys, signing_commands.signing_key, advisory_commands.advisories,
        upstream_commands.claim, upstream_commands.upstream, fsck, gc,
    ):  # fmt: skip
        admin.add_command(command)
