"""`python -m apftui`."""

from apftui.cli import main

main(prog_name="apftui")
