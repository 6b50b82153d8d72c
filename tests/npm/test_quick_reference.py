"""The guide's quick reference, typed into one shell from top to bottom (S55 to S58)."""

from __future__ import annotations

from pathlib import Path

from tests.npm.journey import CONFIRM, PASSWORD, RECOVERY, typed_secret
from tests.support import accounts, packages
from tests.support.accounts import Account
from tests.support.npm import Npm, Terminal

# The shell echoes what is typed, so the end of a command is told by what the echo does not hold: the number.
ENDED = 'echo "ended with" $?'


def _finished(shell: Terminal) -> str:
    """Ask for the exit code of the command before, which has to be 0; what was printed meanwhile is returned."""
    shell.answer(ENDED)
    printed = shell.expect_text("ended with 0\n")
    shell.expect_text("$ ")
    return printed


def test_the_quick_reference(npm: Npm, alice: Account, package_name: str, tmp_path: Path) -> None:
    """Enable, look, publish with a code; set the automation token once, publish without."""
    folder = packages.write(tmp_path / "packages" / "core", package_name)
    npm.sign_in(alice.token)
    shell = npm.spawn_command(["/bin/sh", "-i"], cwd=folder, env={"PS1": "$ ", "ENV": ""})
    shell.expect_text("$ ")

    shell.answer("npm profile enable-2fa auth-and-writes")
    shell.expect_text(PASSWORD)
    shell.answer(alice.password)
    shell.expect_text(CONFIRM)
    alice.secret = typed_secret(shell.text)
    shell.answer(alice.code())
    shell.expect_text(RECOVERY)
    shell.expect_text("$ ")
    _finished(shell)

    shell.answer("npm profile get")
    shell.expect_text("two-factor auth: auth-and-writes\n")
    shell.expect_text("$ ")
    _finished(shell)

    shell.answer(f"npm publish --otp={alice.fresh_code()}")
    shell.expect_text(f"+ {package_name}@1.0.0\n")
    shell.expect_text("$ ")
    _finished(shell)

    packages.write(folder, package_name, "1.0.1")
    shell.answer(f"npm set //{npm.server.host}/:_authToken {accounts.automation_token(alice)}")
    shell.expect_text("$ ")
    _finished(shell)
    shell.answer("npm publish")
    shell.expect_text(f"+ {package_name}@1.0.1\n")
    shell.expect_text("$ ")
    _finished(shell)

    shell.answer("exit")
    assert shell.finish()[0] == 0
    assert accounts.is_published(alice.server, package_name, "1.0.1")
