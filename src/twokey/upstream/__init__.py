"""The upstream: the registry that answers for packages which are not of this one, and our mirror of it."""
