"""What every test may ask for: the clients, and a server."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support import clients as installed
from tests.support.server import Server

# The tests of one run share an address, and many a one guesses: what is limited by address would meet the wrong one.
# The limits by account stay as they are; tests of the limits by address start a server of their own.
ROOM = {
    "TWOKEY_LIMIT_SIGNUP": "100000",
    "TWOKEY_LIMIT_OTP_ADDRESS": "100000",
    "TWOKEY_LIMIT_OTP_ADDRESS_HOUR": "100000",
    "TWOKEY_LIMIT_PASSWORD_ADDRESS": "100000",
}


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a failure: a check that did not run has not passed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        reporter.write_line("A skipped test is a failure in CI.", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def clients() -> None:
    """The real clients are installed; otherwise the test is skipped, and in CI it fails."""
    reason = installed.missing()
    if reason is None:
        return
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of this process: they take names of their own and move its clock as they like."""
    with Server(tmp_path_factory.mktemp("server"), ROOM) as running:
        yield running
