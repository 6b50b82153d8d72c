"""Who sees the page of a package's settings."""

from __future__ import annotations

import itertools
from dataclasses import replace

from tests.guard.document import MINE
from tests.guard.test_truth_table import cases, said
from twokey.authority.actions import Action
from twokey.authority.roles import PackageRole
from twokey.guard.facts import PackageFacts


def test_the_settings_of_a_package_are_shown_to_who_may_write_to_it() -> None:
    for case, restricted in itertools.product(cases(Action.READ_SETTINGS), (False, True)):
        for role in PackageRole:
            facts = replace(case.facts(), package=replace(MINE, role=role, restricted=restricted))
            assert said(facts) == (case.expected() if role >= PackageRole.WRITE else "refused"), (case, role)
        missing = PackageFacts(exists=False, restricted=False, role=PackageRole.MANAGE, mfa="none")
        assert said(replace(case.facts(), package=missing)) == "refused", case
