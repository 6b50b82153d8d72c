"""Requests that nobody means."""
