"""`python -m similitude` is the command `similitude`."""

from similitude.cli.app import main

main()
