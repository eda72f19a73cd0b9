"""Run the command line as ``python -m sgcldff_core.cli``."""

from sgcldff_core.cli.app import main

main()
