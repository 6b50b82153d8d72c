"""`python -m twokey` is `twokey`."""

from twokey.cli.main import main

main()
