"""How `twokey serve` ends: cleanly, within ten seconds, with what is in flight answered, however often it is told."""

from __future__ import annotations

import http.client
import signal
import time
from pathlib import Path

import pytest

from tests.cli.support import PATIENCE, HalfSent, Serving, sign_up, until
from tests.support.accounts import publish_document
from twokey.cli.serve import GRACE_SECONDS

BOUND = 10.0
STOPS = [signal.SIGTERM, signal.SIGINT]


def stops_listening(serving: Serving) -> None:
    until(lambda: not serving.listens(), "the listener to close")


@pytest.mark.parametrize("number", STOPS)
def test_a_publish_in_flight_is_answered_and_kept(tmp_path: Path, number: signal.Signals) -> None:
    with Serving(tmp_path) as serving:
        token = sign_up(serving, "alice")
        publish = HalfSent(serving, "PUT", "/core", token, publish_document("core", "1.0.0"))
        serving.send(number)
        stops_listening(serving)
        assert publish.finish() == (201, {"ok": "created new package", "success": True})
        assert serving.exit_code() == 0
        serving.start()
        assert serving.ask("GET", "/core/1.0.0")[0] == 200
        assert serving.admin("fsck").returncode == 0


@pytest.mark.parametrize("number", STOPS)
def test_a_second_signal_does_not_cut_the_first_short(tmp_path: Path, number: signal.Signals) -> None:
    with Serving(tmp_path) as serving:
        token = sign_up(serving, "alice")
        publish = HalfSent(serving, "PUT", "/core", token, publish_document("core", "1.0.0"))
        serving.send(number)
        stops_listening(serving)
        serving.send(number)
        serving.send(signal.SIGTERM)
        assert publish.finish()[0] == 201
        assert serving.exit_code() == 0


def test_signals_without_end_do_not_change_how_it_ends(tmp_path: Path) -> None:
    """`make` and a terminal may both hand a signal on, at any moment up to the end of the process."""
    with Serving(tmp_path) as serving:

        def told_again() -> bool:
            serving.send(signal.SIGTERM)
            return serving.process.poll() is not None

        until(told_again, "the end")
        assert serving.exit_code() == 0


def test_it_stops_within_ten_seconds_while_a_client_never_finishes(tmp_path: Path) -> None:
    with Serving(tmp_path) as serving:
        token = sign_up(serving, "alice")
        publish = HalfSent(serving, "PUT", "/core", token, publish_document("core", "1.0.0"))
        told = time.monotonic()
        assert serving.stop() == 0
        assert time.monotonic() - told < BOUND
        publish.close()
        assert '"level": "error", "logger": "twokey' not in serving.log
        serving.start()
        assert serving.ask("GET", "/core")[0] == 404
        assert [path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file()] == []


def test_idle_connections_do_not_hold_it_up(tmp_path: Path) -> None:
    with Serving(tmp_path) as serving:
        idle = [http.client.HTTPConnection("127.0.0.1", serving.port, timeout=PATIENCE) for _ in range(20)]
        for connection in idle:
            connection.request("GET", "/-/ping")
            assert connection.getresponse().read() == b"{}"
        silent = [http.client.HTTPConnection("127.0.0.1", serving.port, timeout=PATIENCE) for _ in range(5)]
        for connection in silent:
            connection.connect()
        told = time.monotonic()
        assert serving.stop() == 0
        assert time.monotonic() - told < GRACE_SECONDS, "it waited out the grace of requests in flight"
        for connection in (*idle, *silent):
            connection.close()


def test_it_says_nothing_on_its_way_out(tmp_path: Path) -> None:
    with Serving(tmp_path) as serving:
        assert serving.ask("GET", "/-/ping")[0] == 200
        before = until(
            lambda: serving.log.rpartition("\n")[0] and serving.log,
            "the line of the request, which comes a moment after its answer",
        )
        assert serving.stop() == 0
        assert serving.log == before


def test_after_a_kill_it_starts_again_with_everything_that_was_acknowledged(tmp_path: Path) -> None:
    with Serving(tmp_path) as serving:
        token = sign_up(serving, "alice")
        assert serving.ask("PUT", "/core", token=token, body=publish_document("core", "1.0.0"))[0] == 201
        publish = HalfSent(serving, "PUT", "/core", token, publish_document("core", "1.0.1"))
        serving.settings["TWOKEY_PORT"] = str(serving.port)
        serving.kill()
        publish.close()
        serving.start()
        assert serving.ask("GET", "/-/health")[0] == 200
        assert serving.ask("GET", "/-/whoami", token=token) == (200, {"username": "alice"})
        assert list(serving.ask("GET", "/core")[1]["versions"]) == ["1.0.0"]
        assert serving.admin("fsck").returncode == 0
        assert serving.admin("audit", "verify").returncode == 0
        assert serving.stop() == 0
