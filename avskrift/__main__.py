"""Entry point of ``avskrift``, and of ``python -m avskrift``."""

from __future__ import annotations

import sys

EXIT_INTERRUPTED = 130


def main() -> None:
    """Run the command line. An interrupt while it is still being imported, about a second at first, ends it as later
    ones do."""
    try:
        from avskrift.cli import main as run
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    run()


if __name__ == "__main__":
    main()
