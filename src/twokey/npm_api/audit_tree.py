"""The older form of an audit: a lockfile's whole tree in, a report with a path to each finding out.

The body is that of npm 6 (`lib/install/audit.js`) and Yarn 1: `{requires, dependencies: {NAME: {version, requires,
dev, optional, bundled, dependencies}}}`, nested as the folders are. The answer is what `npm-audit-report` reads. Every
finding is for a person to look at: no update is worked out here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from twokey.errors import Invalid, TooLarge
from twokey.packages import semver
from twokey.packages.advisories import Match

LONGEST_PATH = 100  # folders: paths of a tree made for it would else fill the memory
LEVELS = ("info", "low", "moderate", "high", "critical")


@dataclass(slots=True, eq=False)
class Node:
    """One folder of the tree."""

    name: str
    version: str
    parent: Node | None = None
    requires: tuple[str, ...] = ()
    dev: bool = False
    optional: bool = False
    bundled: bool = False
    children: dict[str, Node] = field(default_factory=dict)
    path: tuple[str, ...] = ()

    def everything(self) -> Iterator[Node]:
        """Every folder below this one."""
        waiting = list(self.children.values())
        while waiting:
            node = waiting.pop()
            yield node
            waiting += node.children.values()

    def resolve(self, name: str) -> Node | None:
        """The folder that `require(name)` finds from here, as Node.js looks for it."""
        here: Node | None = self
        while here is not None:
            if name in here.children:
                return here.children[name]
            here = here.parent
        return None


def read(document: Mapping[str, object], most: int) -> Node:
    """The tree that was sent, each folder with the shortest path of requirements to it. Raises Invalid, TooLarge."""
    if not {"requires", "dependencies"} & document.keys():
        raise Invalid("An audit of this kind takes a lockfile's tree: an object with requires and dependencies.")
    root = Node("", "", requires=_names(document.get("requires")))
    waiting: list[tuple[Node, object]] = [(root, document.get("dependencies"))]
    count = 0
    while waiting:
        parent, dependencies = waiting.pop()
        for name, entry in dependencies.items() if isinstance(dependencies, dict) else ():
            if not isinstance(entry, dict):
                continue
            count += 1
            if count > most:
                raise TooLarge(f"An audit takes at most {most} packages at once.")
            node = Node(
                name,
                str(entry.get("version")),
                parent,
                _names(entry.get("requires")),
                dev=entry.get("dev") is True,
                optional=entry.get("optional") is True,
                bundled=entry.get("bundled") is True,
            )
            parent.children[name] = node
            waiting.append((node, entry.get("dependencies")))
    _find_paths(root)
    return root


def report(root: Node, found: Mapping[str, list[Match]]) -> dict[str, object]:
    """The report: each advisory with the folders that it concerns, and how many there are of each severity."""
    advisories: dict[str, object] = {}
    actions: list[object] = []
    counts = dict.fromkeys(LEVELS, 0)
    nodes = sorted(root.everything(), key=lambda node: node.path)
    for name, matches in found.items():
        resolves: list[dict[str, object]] = []
        for match in matches:
            hit = [node for node in nodes if node.name == name and _is_hit(node, match)]
            advisories[str(match.id)] = _advisory(name, match, hit)
            counts[match.severity] += len(hit)
            resolves += [{"id": match.id, "path": ">".join(node.path), **_kind(node)} for node in hit]
        actions.append({"action": "review", "module": name, "resolves": resolves})
    dev, optional = sum(node.dev for node in nodes), sum(node.optional and not node.dev for node in nodes)
    return {
        "actions": actions,
        "advisories": advisories,
        "muted": [],
        "metadata": {
            "vulnerabilities": counts,
            "dependencies": len(nodes) - dev - optional,
            "devDependencies": dev,
            "optionalDependencies": optional,
            "totalDependencies": len(nodes),
        },
    }


def _advisory(name: str, match: Match, hit: list[Node]) -> dict[str, object]:
    return {
        "id": match.id,
        "title": match.title,
        "module_name": name,
        "severity": match.severity,
        "url": match.url,
        "overview": match.title,
        "recommendation": "",
        "vulnerable_versions": match.vulnerable_versions,
        "patched_versions": match.patched_versions,
        "cwe": ", ".join(match.cwes),
        "cves": [],
        "created": match.published,
        "updated": match.modified,
        "deleted": None,
        "access": "public",
        "findings": [{"version": node.version, "paths": [">".join(node.path)], **_kind(node)} for node in hit],
    }


def _is_hit(node: Node, match: Match) -> bool:
    return semver.valid(node.version) and semver.parse(node.version) in match.versions


def _kind(node: Node) -> dict[str, bool]:
    return {"dev": node.dev, "optional": node.optional, "bundled": node.bundled}


def _find_paths(root: Node) -> None:
    """Breadth first from the root, so that the first path to a folder is a shortest one.

    One that no path of up to LONGEST_PATH folders leads to stands for itself.
    """
    waiting = deque([root])
    while waiting:
        node = waiting.popleft()
        for name in node.requires:
            target = node.resolve(name)
            if target is not None and not target.path and len(node.path) < LONGEST_PATH:
                target.path = (*node.path, name)
                waiting.append(target)
    for node in root.everything():
        node.path = node.path or (node.name,)


def _names(requires: object) -> tuple[str, ...]:
    return tuple(requires) if isinstance(requires, dict) else ()
