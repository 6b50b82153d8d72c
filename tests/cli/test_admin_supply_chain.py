"""`twokey admin advisories` and `signing-key`: files, folders and .zip files in, lists out."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from tests.cli.support import run


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder as an operator may have it: two records in it, one below, and what is none."""
    folder = tmp_path / "osv"
    (folder / "below").mkdir(parents=True)
    for name, path in (("one", folder), ("two", folder), ("three", folder / "below")):
        (path / f"{name}.json").write_bytes(record(f"GHSA-{name}", name))
    (folder / "python.json").write_bytes(record("PYSEC-1", "other", "PyPI"))
    (folder / "README.txt").write_text("no record")
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        archive.writestr("MAL-four.json", record("MAL-four", "four"))
        archive.writestr("note.txt", "no record")
    return folder


def record(osv_id: str, package: str, ecosystem: str = "npm") -> bytes:
    affected = {
        "package": {"ecosystem": ecosystem, "name": package},
        "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}],
    }
    return json.dumps({"id": osv_id, "summary": f"On {package}", "affected": [affected]}).encode()


def test_folders_and_zip_files_are_imported_listed_and_removed(tmp_path: Path, files: Path) -> None:
    first = run("--data", "data", "admin", "advisories", "import", str(files), cwd=tmp_path)
    assert (first.returncode, first.stdout) == (
        0,
        "4 advisories added, 0 updated, 0 removed, 0 unchanged; 1 records of no npm package skipped, "
        "0 files not readable.\n",
    )
    listed = run("--data", "data", "admin", "advisories", "list", cwd=tmp_path).stdout.splitlines()
    assert len(listed) == 4
    assert "MAL-four              malware   four  On four" in listed
    one = run("--data", "data", "admin", "advisories", "list", "--package", "one", cwd=tmp_path)
    assert one.stdout == "GHSA-one              moderate  one  On one\n"
    removed = run("--data", "data", "admin", "advisories", "remove", "GHSA-one", cwd=tmp_path)
    assert removed.stdout == "The advisory GHSA-one is removed.\n"
    missing = run("--data", "data", "admin", "advisories", "remove", "GHSA-one", cwd=tmp_path)
    assert missing.returncode == 2
    assert "There is no advisory 'GHSA-one' here" in missing.stderr


def test_what_cannot_be_read_is_named_and_the_rest_is_imported(tmp_path: Path, files: Path) -> None:
    (files / "broken.json").write_text("{")
    done = run("--data", "data", "admin", "advisories", "import", str(files), cwd=tmp_path)
    assert done.returncode == 1
    assert f"{files}/broken.json: This is not valid JSON" in done.stderr
    assert "4 advisories added" in done.stdout
    assert "1 files not readable." in done.stdout
    (files / "all.zip").write_text("no zip file")
    damaged = run("--data", "data", "admin", "advisories", "import", str(files / "all.zip"), cwd=tmp_path)
    assert damaged.returncode == 2
    assert "is no .zip file, or a damaged one" in damaged.stderr


def test_a_signing_key_is_there_from_the_start_and_is_followed_by_others(tmp_path: Path) -> None:
    (first,) = run("--data", "data", "admin", "signing-key", "list", cwd=tmp_path).stdout.splitlines()
    assert first.endswith("in use")
    keyid = first.split()[0]
    rotated = run("--data", "data", "admin", "signing-key", "rotate", cwd=tmp_path)
    assert f"{keyid} stays published for what it signed." in rotated.stdout
    new, old = run("--data", "data", "admin", "signing-key", "list", cwd=tmp_path).stdout.splitlines()
    assert new.split()[0] in rotated.stdout
    assert new.endswith("in use")
    assert old.startswith(keyid)
    assert "until" in old
