"""Real packages of the public registry, published here with the real npm and installed back."""
