"""Publishing: from the body that a client sends to a version in the registry."""
