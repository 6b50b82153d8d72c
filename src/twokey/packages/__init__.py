"""Packages: their names, versions, owners, dist-tags and packuments."""
