"""`skep` and `python -m service`: hands over to the command line."""

import sys

from service.cli import main as run_cli


def main() -> None:
    """Run the command and end with its status."""
    sys.exit(run_cli())


if __name__ == "__main__":
    main()
