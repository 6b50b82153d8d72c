"""The star on a package's page."""

from __future__ import annotations

from twokey.authority.actions import Action
from twokey.http.answers import Answer
from twokey.packages import packages, stars
from twokey.web.visit import Visit, redirect


def change(visit: Visit) -> Answer:
    """`POST /package/NAME/star`: gives a star, or with `starred=no` takes it back."""
    permit = visit.ask(Action.STAR, visit.package_target())
    starred = visit.one("starred") != "no"
    with visit.registry.door.write(permit) as tx:
        stars.put(tx, packages.get(tx.connection, visit.package), permit.actor, starred=starred)
    return redirect(f"/package/{visit.package}", done="starred" if starred else "unstarred")
