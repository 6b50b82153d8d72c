"""`npm audit` and its like, each real client with a project of its own: clean, then with an advisory that was imported.

The advisory is on a package that the project's only dependency needs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.npm.conftest import MakeNpm
from tests.support import accounts, clients, packages, yarn
from tests.support.accounts import Account
from tests.support.interceptor import intercepting
from tests.support.npm import Npm, Result
from tests.support.server import Server

ADDRESS = "https://example.com/advisory"
TITLE = "Bad things happen"
VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"


@dataclass(frozen=True)
class Project:
    """A folder with a package.json, and what its dependencies are called."""

    folder: Path
    needed: str
    bad: str


def advisory(package: str, **fields: object) -> dict[str, object]:
    """An OSV record: every version of the package before 1.5.0."""
    return {
        "id": f"GHSA-{package}",
        "modified": "2026-01-01T00:00:00Z",
        "published": "2026-01-01T00:00:00Z",
        "summary": TITLE,
        "severity": [{"type": "CVSS_V3", "score": VECTOR}],
        "affected": [
            {
                "package": {"ecosystem": "npm", "name": package},
                "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.5.0"}]}],
            }
        ],
        "references": [{"type": "WEB", "url": "https://example.com/other"}, {"type": "ADVISORY", "url": ADDRESS}],
        "database_specific": {"severity": "HIGH", "cwe_ids": ["CWE-79"]},
        **fields,
    }


def project(alice: Account, folder: Path) -> Project:
    """A project that needs a package that needs one of which there will be an advisory."""
    bad, needed = accounts.fresh_name("bad"), accounts.fresh_name("needed")
    for name, version in ((bad, "1.0.0"), (bad, "2.0.0")):
        assert accounts.publish(alice, name, version).status == 201
    document = accounts.publish_document(needed, "1.0.0", dependencies={bad: "^1.0.0"})
    assert alice.ask("PUT", f"/{needed}", body=document).status == 201
    packages.write(folder, "project", private=True, dependencies={needed: "^1.0.0"})
    return Project(folder, needed, bad)


def warn(server: Server, tmp_path: Path, package: str) -> None:
    """The operator imports an advisory, and another database's of the same fault."""
    aliases = [f"GHSA-{package}"]
    records = (advisory(package), advisory(package, id=f"CVE-{package}", summary="Said again", aliases=aliases))
    paths = [tmp_path / f"{record['id']}.json" for record in records]
    for path, record in zip(paths, records, strict=True):
        path.write_text(json.dumps(record))
    done = server.admin("advisories", "import", *map(str, paths))
    assert done.returncode == 0, done
    assert "2 advisories added" in done.stdout


@pytest.mark.parametrize("version", [12, 11, 10, 6], ids="npm{}".format)
def test_npm(make_npm: MakeNpm, server: Server, alice: Account, tmp_path: Path, version: int) -> None:
    npm, made = make_npm(version), project(alice, tmp_path / "project")
    assert npm.run("install", cwd=made.folder).returncode == 0
    clean = npm.run("audit", cwd=made.folder)
    assert clean.returncode == 0, clean
    assert "found 0 vulnerabilities" in clean.stdout
    warn(server, tmp_path, made.bad)
    found = npm.run("audit", cwd=made.folder)
    assert found.returncode == 1, found
    for text in (TITLE, ADDRESS, made.bad, made.needed, "high"):
        assert text in found.stdout.replace("High", "high")
    assert "Said again" not in found.stdout
    again = npm.run("install", "--no-save", cwd=made.folder)
    assert again.returncode == 0, "an install says so and goes on"
    assert re.search(r"[12] high severity vulnerabilit(y|ies)", again.text)
    report = json.loads(npm.run("audit", "--json", cwd=made.folder).stdout)
    assert report["metadata"]["vulnerabilities"]["high"] > 0
    if version > 6:
        (via,) = report["vulnerabilities"][made.bad]["via"]
        assert (via["range"], via["cwe"], via["severity"]) == ("<1.5.0", ["CWE-79"], "high")
        assert via["cvss"] == {"score": 9.8, "vectorString": VECTOR}
    quiet = npm.run("audit", "--audit-level=critical", cwd=made.folder)
    assert quiet.returncode == 0, "it is not critical"


Run = Callable[[Npm, Path, str], Result]


def _pnpm(npm: Npm, folder: Path, command: str) -> Result:
    return npm.run_command([clients.pnpm_or_skip(), command], cwd=folder)


def _bun(npm: Npm, folder: Path, command: str) -> Result:
    return npm.run_command([clients.bun_or_skip(), command], cwd=folder)


def _yarn_berry(npm: Npm, folder: Path, command: str) -> Result:
    """It keeps packages back that are younger than a day, unless told otherwise."""
    yarn.write_berry(npm, folder, "npmMinimalAgeGate: 0")
    (folder / "yarn.lock").touch()
    words = ["npm", "audit", "--recursive"] if command == "audit" else [command]
    return npm.run_command([str(clients.node()), str(clients.yarn_berry()), *words], cwd=folder)


def _yarn_classic(npm: Npm, folder: Path, command: str) -> Result:
    """Its audit asks a registry that is built in, whatever is set: it is led here on its way."""

    def respond(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        sent = {name: value for name, value in headers.items() if name.startswith("content-")}
        with closing(HTTPConnection("localhost", npm.server.port)) as connection:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return answer.status, answer.read()

    with intercepting(respond) as way:
        yarn.write_classic(npm, folder, https_proxy=way.url, cafile=way.authority)
        script = [str(clients.node()), str(clients.yarn_classic())]
        return npm.run_command([*script, command], cwd=folder, env=way.environ)


@pytest.mark.parametrize(
    ("run", "clean", "code"),
    [
        pytest.param(_pnpm, "No known vulnerabilities found", 1, id="pnpm"),
        pytest.param(_bun, "No vulnerabilities found", 1, id="bun"),
        pytest.param(_yarn_berry, "No audit suggestions", 1, id="berry"),
        pytest.param(_yarn_classic, "0 vulnerabilities found", 8, id="yarn1"),
    ],
)
def test_other_clients(
    make_npm: MakeNpm, server: Server, alice: Account, tmp_path: Path, run: Run, clean: str, code: int
) -> None:
    npm, made = make_npm(12), project(alice, tmp_path / "project")
    installed = run(npm, made.folder, "install")
    assert installed.returncode == 0, installed
    audited = run(npm, made.folder, "audit")
    assert audited.returncode == 0, audited
    assert clean in audited.text
    warn(server, tmp_path, made.bad)
    found = run(npm, made.folder, "audit")
    assert found.returncode == code, found
    for text in (TITLE, made.bad, "high"):
        assert text in found.text
    assert "Said again" not in found.text


def test_pnpm_verifies_registry_signatures(make_npm: MakeNpm, alice: Account, tmp_path: Path) -> None:
    """It asks the registry for its keys, and nobody else."""
    npm, made = make_npm(12), project(alice, tmp_path / "project")
    assert npm.run_command([clients.pnpm_or_skip(), "install"], cwd=made.folder).returncode == 0
    done = npm.run_command([clients.pnpm_or_skip(), "audit", "signatures"], cwd=made.folder)
    assert done.returncode == 0, done
    assert "2 packages have verified registry signatures" in done.stdout
