"""Organisations: the owners of scopes."""
