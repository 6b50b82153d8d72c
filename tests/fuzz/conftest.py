"""The registry that is asked everything, and its application."""

from __future__ import annotations

from tests.policy.conftest import cluster, sqlite_template, stage

__all__ = ["cluster", "sqlite_template", "stage"]
