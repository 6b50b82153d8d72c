"""Blobs: immutable bytes, named by their SHA-512."""
