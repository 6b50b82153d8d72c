"""The house rules, read off the source with `ast`: floors, circles, who may do what, lengths."""

from __future__ import annotations

import ast
import itertools
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"

# From the ground up. A module may import from its own floor and from those below.
FLOORS: tuple[tuple[str, ...], ...] = (
    (
        "twokey",
        "twokey.errors",
        "twokey.clock",
        "twokey.vault",
        "twokey.settings",
        "twokey.networks",
        "twokey.strict_json",
        "twokey.figures",
        "twokey.logs",
    ),
    ("twokey.authority", "twokey.db", "twokey.blobs"),
    ("twokey.audit", "twokey.throttle"),
    ("twokey.accounts", "twokey.two_factor", "twokey.tokens", "twokey.packages", "twokey.orgs"),
    ("twokey.guard", "twokey.publishing", "twokey.upstream"),
    ("twokey.registry",),
    ("twokey.http",),
    ("twokey.npm_api", "twokey.web"),
    ("twokey.app",),
    ("twokey.cli", "twokey.__main__"),
)
DOMAIN = (
    "twokey.accounts",
    "twokey.two_factor",
    "twokey.tokens",
    "twokey.packages",
    "twokey.orgs",
    "twokey.publishing",
    "twokey.upstream",
)

# Who may open a raw write transaction, and why it needs no permit.
RAW_WRITES = {
    "twokey.guard.door": "hands them out, to permits",
    "twokey.guard.authenticate": "notes that a token was used: nothing that anyone decides",
    "twokey.throttle": "counts attempts before anything is judged",
    "twokey.two_factor.redeem": "records wrong codes: a refusal leaves a trace, and nothing else",
    "twokey.audit.trail": "counts refusals of callers who proved nothing",
    "twokey.accounts.passwords": "hashes a password that was just right under today's parameters",
    "twokey.accounts.sessions": "notes that a password or a code was right: it opens what the door allowed, no more",
    "twokey.accounts.hand_offs": "begins a client's waiting and notes that it fetched: what it gets, the door allowed",
    "twokey.two_factor.key_ceremony": "makes challenges: they open nothing that the door does not allow later",
    "twokey.accounts.interrupted_forms": "keeps what was sent until a proof is shown: nothing is carried out by it",
    "twokey.accounts.mail": "claims a mail that waits and notes whether it left: what it says was written by its cause",
    "twokey.registry": "makes the instance's own secrets at its first start, and tidies what has run out",
    "twokey.packages.indexing": "indexes the packages of a registry from before there was an index",
    "twokey.packages.signing": "makes the first signing key, and signs what is from before there was one",
    "twokey.packages.downloads": "adds up downloads: a statistic that nobody decides by",
    "twokey.db.migrate": "changes the schema",
}
# Who may write without telling readers, and why nothing that they remember hangs on it.
QUIET_WRITES = {
    "twokey.guard.door": "records refusals",
    "twokey.guard.authenticate": "when and where a token was used; a reader's memory of it ends when that is due",
    "twokey.throttle": "attempts",
    "twokey.two_factor.redeem": "wrong codes",
    "twokey.audit.trail": "refusals of callers who proved nothing",
    "twokey.accounts.passwords": "another hash of the same password; no password is remembered",
    "twokey.accounts.sessions": "sessions, which are looked at each time",
    "twokey.accounts.hand_offs": "clients that wait for a browser",
    "twokey.two_factor.key_ceremony": "challenges",
    "twokey.accounts.interrupted_forms": "forms that wait for a proof",
    "twokey.accounts.mail": "mails on their way",
    "twokey.packages.downloads": "counts that no packument has",
}
LONGEST_FILE, LONGEST_FUNCTION = 400, 60


@cache
def modules() -> dict[str, ast.Module]:
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        if "versions" in path.parts or path.name == "env.py":
            continue  # migrations are data for alembic
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = ast.parse(path.read_text())
    return found


@cache
def imports(name: str) -> set[str]:
    """The twokey modules that a module imports, wherever in its text; but not those for types alone."""
    found: set[str] = set()
    for node in ast.walk(modules()[name]):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in modules() else node.module)
    return {each for each in found if each == "twokey" or each.startswith("twokey.")}


def floor(name: str) -> int:
    def belongs(unit: str) -> bool:
        return name == unit or (unit != "twokey" and name.startswith(f"{unit}."))

    found = [level for level, units in enumerate(FLOORS) if any(belongs(unit) for unit in units)]
    assert found, f"{name} stands on no floor: give it one in FLOORS"
    return found[0]


@cache
def calls(name: str) -> set[str]:
    return {ast.unparse(node.func) for node in ast.walk(modules()[name]) if isinstance(node, ast.Call)}


@pytest.mark.parametrize("name", modules())
def test_imports_go_down_only(name: str) -> None:
    above = {each for each in imports(name) if floor(each) > floor(name)}
    assert not above, f"{name} imports from a floor above its own: {above}"


def test_there_is_no_circle_of_imports() -> None:
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " > ".join((*path[path.index(name) :], name))
        if name not in done:
            for each in sorted(imports(name) - {name}):
                if each in modules() and each != "twokey":
                    walk(each, (*path, name))
            done.add(name)

    for name in modules():
        walk(name, ())


@pytest.mark.parametrize("name", [name for name in modules() if name.startswith(DOMAIN)])
def test_the_domain_knows_neither_http_nor_settings_nor_the_door(name: str) -> None:
    forbidden = ("twokey.http", "twokey.settings", "twokey.guard", "twokey.npm_api", "starlette", "uvicorn")
    source = modules()[name]
    names = {alias.name for node in ast.walk(source) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(source) if isinstance(node, ast.ImportFrom)}
    assert not [each for each in names if each.startswith(forbidden)]


@pytest.mark.parametrize("name", modules())
def test_only_the_door_makes_permits_and_transactions(name: str) -> None:
    made = {"Permit", "Transaction"} & calls(name)
    assert not made or name == "twokey.guard.door"


@pytest.mark.parametrize("name", modules())
def test_raw_write_transactions_are_for_the_allow_list(name: str) -> None:
    raw = {call for call in calls(name) if call.endswith(("database.write", "_database.write", "_writer.connect"))}
    assert not raw or name in RAW_WRITES or name == "twokey.db.engine"


def test_the_allow_list_has_no_entry_too_many() -> None:
    for name in RAW_WRITES:
        assert any(call.endswith("database.write") for call in calls(name)), f"{name} writes nothing any more"


def test_quiet_writes_are_for_the_allow_list_and_it_has_no_entry_too_many() -> None:
    def is_quiet(node: ast.AST) -> bool:
        return isinstance(node, ast.Call) and any(word.arg == "quietly" for word in node.keywords)

    quiet = {name for name, source in modules().items() if any(map(is_quiet, ast.walk(source)))}
    assert quiet == set(QUIET_WRITES)


VERIFIERS = {
    "totp.matching_step", "recovery_codes.find", "recovery_codes.use", "enrolment.activate",
    "key_ceremony.verify_answer", "key_ceremony.verify_registration", "security_keys.use", "security_keys.register",
    "hand_offs.match", "hand_offs.use",
}  # fmt: skip


@pytest.mark.parametrize("name", modules())
def test_codes_are_verified_in_one_place(name: str) -> None:
    assert not (VERIFIERS & calls(name)) or name == "twokey.two_factor.redeem"


@pytest.mark.parametrize("name", modules())
def test_only_settings_reads_the_environment(name: str) -> None:
    source = ast.unparse(modules()[name])
    assert name == "twokey.settings" or not any(word in source for word in ("os.environ", "os.getenv", "getpass"))


@pytest.mark.parametrize("name", modules())
def test_only_the_clock_reads_the_time(name: str) -> None:
    clocks = {"time.time", "time.time_ns", "time.monotonic", "datetime.now", "datetime.utcnow", "date.today"}
    assert name == "twokey.clock" or not (clocks & calls(name))


@pytest.mark.parametrize("name", modules())
def test_nothing_is_drawn_from_a_weak_random_source(name: str) -> None:
    assert "random" not in {alias for call in calls(name) for alias in [call.partition(".")[0]]}


def python_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "src/*.py", "tests/*.py"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).exists()]


def test_no_file_is_longer_than_it_should_be() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in python_files()
        if (lines := len(path.read_text().splitlines())) > LONGEST_FILE and "versions" not in path.parts
    }
    assert not long


def test_no_function_is_longer_than_it_should_be() -> None:
    long = []
    for path in python_files():
        if "versions" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    long.append((path.name, node.name, length))
    assert not long


@pytest.mark.parametrize("name", modules())
def test_what_is_public_says_what_it_does(name: str) -> None:
    bare = []
    assert ast.get_docstring(modules()[name]), f"{name} has no docstring"
    for node in ast.walk(modules()[name]):
        if not isinstance(node, ast.ClassDef | ast.Module):
            continue
        if isinstance(node, ast.ClassDef) and node.name.startswith("_"):
            continue
        for child in node.body:
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if not child.name.startswith("_") and not ast.get_docstring(child):
                bare.append(child.name)
    assert not bare


def test_the_repository_names_no_package_registry_and_no_machine() -> None:
    """The upstream's address is a setting; the locks name no host (docs/adr/0004-locks-without-hosts.md)."""
    hosts = ["".join(parts) for parts in (("registry.", "npmjs"), ("pypi", ".org"), ("python", "hosted"))]
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    texts = {
        path: (ROOT / path).read_text(errors="replace")
        for path in listed.stdout.splitlines()
        if (ROOT / path).is_file()
    }
    assert [(path, host) for (path, text), host in itertools.product(texts.items(), hosts) if host in text] == []
