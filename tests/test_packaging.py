"""The wheel: built from the repository, installed beside the dependencies, it serves."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import twokey
from tests.cli.support import FREE_PORT, Serving, environment, sign_up
from tests.support.accounts import publish_document
from tests.support.clients import ROOT


def done(*command: str | Path, cwd: Path) -> str:
    """What a command that succeeds prints; it sees no path of the tests."""
    environ = environment({})
    environ.pop("PYTHONPATH", None)
    ran = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environ, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran
    return ran.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as CONTRIBUTING.md says."""
    folder = tmp_path_factory.mktemp("dist")
    done(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, which sees the dependencies that are installed already."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    done(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    done(
        sys.executable, "-m", "pip", "--python", folder, "--disable-pip-version-check", "--quiet",
        "install", "--no-index", "--no-deps", wheel, cwd=folder.parent,
    )  # fmt: skip
    (packages,) = folder.glob("lib/python*/site-packages")
    # A path in a .pth file is searched last, and .pth files in it are not read: not the one of the editable install.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def test_the_wheel_holds_what_runs_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    source = ROOT / "src"
    tracked = done("git", "ls-files", "--cached", "--others", "--exclude-standard", "src", cwd=ROOT).splitlines()
    expected = {path.removeprefix("src/") for path in tracked if (ROOT / path).is_file()}
    assert {name for name in names if ".dist-info/" not in name} == expected
    migrations = {str(path.relative_to(source)) for path in (source / "twokey/db/migrations").rglob("*.py")}
    assert len(migrations) > 1
    assert migrations <= names
    assert "twokey/py.typed" in names
    assert f"twokey-{twokey.__version__}.dist-info/licenses/LICENSE" in names


def test_the_version_stands_in_one_place(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = Parser().parsestr(archive.read(f"twokey-{twokey.__version__}.dist-info/METADATA").decode())
    assert metadata["Name"] == "twokey"
    assert metadata["Version"] == twokey.__version__
    assert wheel.name == f"twokey-{twokey.__version__}-py3-none-any.whl"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" not in project
    literal = re.compile(rf"""["']{re.escape(twokey.__version__)}["']""")
    holding = [path for path in (ROOT / "src").rglob("*.py") if literal.search(path.read_text())]
    assert holding == [ROOT / "src/twokey/__init__.py"]


def test_the_metadata_names_every_dependency_licence_and_the_least_python(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = Parser().parsestr(archive.read(f"twokey-{twokey.__version__}.dist-info/METADATA").decode())
        entry_points = archive.read(f"twokey-{twokey.__version__}.dist-info/entry_points.txt").decode()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    def names(requirements: list[str]) -> list[str]:
        return sorted(re.split(r"[^A-Za-z0-9-]", each, maxsplit=1)[0] for each in requirements)

    required = [each for each in metadata.get_all("Requires-Dist", []) if "extra ==" not in each]
    assert names(required) == names(project["dependencies"])
    assert metadata["Requires-Python"] == project["requires-python"]
    assert metadata["License-Expression"] == "MIT"
    assert "twokey = twokey.cli.main:main" in entry_points


def test_the_installed_wheel_tells_its_version_and_is_not_the_clone(installed: Path, tmp_path: Path) -> None:
    assert done(installed / "bin/twokey", "--version", cwd=tmp_path) == f"twokey, version {twokey.__version__}\n"
    where = done(installed / "bin/python", "-c", "import twokey; print(twokey.__file__)", cwd=tmp_path).strip()
    assert Path(where).is_relative_to(installed)
    assert done(installed / "bin/python", "-m", "twokey", "--version", cwd=tmp_path).startswith("twokey, version ")


def test_the_installed_wheel_serves(installed: Path, tmp_path: Path) -> None:
    with Serving(tmp_path, FREE_PORT, [str(installed / "bin/twokey"), "serve"]) as serving:
        token = sign_up(serving, "alice")
        assert serving.ask("PUT", "/core", token=token, body=publish_document("core", "1.0.0"))[0] == 201
        assert serving.ask("GET", "/core/1.0.0")[1]["version"] == "1.0.0"
        grant = serving.banner_line("an administrator").replace("NAME", "alice").split()
        assert grant[0] == str(installed / "bin/twokey")
        assert done(*grant, cwd=tmp_path) == "alice is an administrator.\n"
        assert serving.stop() == 0
