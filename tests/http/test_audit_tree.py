"""The tree of an older audit: the shortest path to each folder, within a bound that no tree can pass."""

from __future__ import annotations

from twokey.npm_api import audit_tree
from twokey.npm_api.audit_tree import LONGEST_PATH, Node

CHAIN = 2000


def read(requires: dict[str, str], dependencies: dict[str, object]) -> dict[str, Node]:
    root = audit_tree.read({"requires": requires, "dependencies": dependencies}, CHAIN)
    return {node.name: node for node in root.everything()}


def test_a_folder_is_told_by_the_shortest_way_that_leads_to_it() -> None:
    nodes = read(
        {"a": "1", "c": "1"},
        {
            "a": {"version": "1.0.0", "requires": {"b": "1"}},
            "b": {"version": "1.0.0", "requires": {"d": "1"}},
            "c": {"version": "1.0.0", "requires": {"d": "1"}},
            "d": {"version": "1.0.0"},
            "left-over": {"version": "1.0.0"},
        },
    )
    assert nodes["b"].path == ("a", "b")
    assert nodes["d"].path == ("c", "d")
    assert nodes["left-over"].path == ("left-over",)


def test_a_chain_of_requirements_takes_no_more_memory_than_its_bound() -> None:
    chain = {f"p{at}": {"version": "1.0.0", "requires": {f"p{at + 1}": "1"}} for at in range(CHAIN)}
    nodes = read({"p0": "1"}, dict(chain))
    assert len(nodes) == CHAIN
    assert nodes[f"p{LONGEST_PATH - 1}"].path == tuple(f"p{at}" for at in range(LONGEST_PATH))
    assert nodes[f"p{LONGEST_PATH}"].path == (f"p{LONGEST_PATH}",)
    assert sum(len(node.path) for node in nodes.values()) <= LONGEST_PATH * CHAIN
