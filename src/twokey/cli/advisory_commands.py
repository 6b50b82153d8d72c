"""`twokey admin advisories`: the security advisories that `npm audit` is answered from."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click

from twokey.cli.operator import Operator, operator
from twokey.errors import Invalid
from twokey.packages import advisories as kept
from twokey.packages import osv
from twokey.packages.advisories import Counts
from twokey.packages.osv import Record

BATCH = 500
LARGEST = 16 * 1024 * 1024  # bytes of one record
TOLD = 10  # unreadable files that are named


@click.group()
def advisories() -> None:
    """Security advisories."""


@advisories.command("import")
@click.argument("files", metavar="FILES", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.pass_context
def import_advisories(ctx: click.Context, files: tuple[Path, ...]) -> None:
    """Take advisories over from OSV files, folders of them, or the .zip files that osv.dev publishes.

    What is there already is brought up to date, what was withdrawn goes. Exit 1 where a file could not be read.
    """
    total, unreadable = Counts(), 0
    with operator(ctx) as work:
        work.permit()
        batch: list[Record] = []
        for name, data in _contents(files):
            try:
                batch.append(osv.parse(data))
            except Invalid as error:
                unreadable += 1
                if unreadable <= TOLD:
                    click.echo(f"{name}: {error.message}", err=True)
            if len(batch) == BATCH:
                _store(work, batch, total)
                batch = []
        if batch:
            _store(work, batch, total)
    click.echo(
        f"{total.added} advisories added, {total.updated} updated, {total.removed} removed, "
        f"{total.unchanged} unchanged; {total.skipped} records of no npm package skipped, "
        f"{unreadable} files not readable."
    )
    sys.exit(1 if unreadable else 0)


@advisories.command("list")
@click.option("--package", help="Only advisories that affect this package.")
@click.option("--last", default=50, show_default=True, type=click.IntRange(1), help="How many, the newest.")
@click.pass_context
def list_advisories(ctx: click.Context, package: str | None, last: int) -> None:
    """List the advisories that were imported last."""
    with operator(ctx) as work:
        work.permit()
        with work.registry.database.read() as connection:
            found = kept.listing(connection, package, last)
    if not found:
        click.echo("There is no advisory here: twokey admin advisories import FILES takes them over.")
    for each in found:
        kind = "malware" if each.malicious else each.severity
        click.echo(f"{each.osv_id:<20}  {kind:<8}  {', '.join(each.packages)}  {each.title}")


@advisories.command("remove")
@click.argument("id", metavar="ID")
@click.pass_context
def remove_advisory(ctx: click.Context, id: str) -> None:
    """Remove an advisory. An import of a file that still holds it brings it back."""
    with operator(ctx) as work, work.registry.door.write(work.permit()) as tx:
        kept.remove(tx, id)
    click.echo(f"The advisory {id} is removed.")


def _store(work: Operator, batch: list[Record], total: Counts) -> None:
    with work.registry.door.write(work.permit()) as tx:
        counts = kept.store(tx, batch)
    for field in fields(Counts):
        setattr(total, field.name, getattr(total, field.name) + getattr(counts, field.name))


def _contents(files: tuple[Path, ...]) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every record in the files and folders. Raises Invalid for a .zip file that is none."""
    for path in files:
        for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if each.suffix == ".zip":
                yield from _zipped(each)
            elif each.suffix == ".json" or each == path:
                with each.open("rb") as stream:
                    yield str(each), stream.read(LARGEST)


def _zipped(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if member.filename.endswith(".json"):
                    with archive.open(member) as stream:
                        yield f"{path}/{member.filename}", stream.read(LARGEST)
    except zipfile.BadZipFile as error:
        raise Invalid(f"{path} is no .zip file, or a damaged one: fetch it again.") from error
