"""Packages that come from an upstream: one of our own here, which misbehaves as a test tells it to."""
