"""Tests of twokey. What they share is in `tests/support`."""
