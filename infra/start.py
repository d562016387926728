"""Where ``scripts/deploy``, ``destroy`` and ``cleanup`` begin: an interrupt while their modules are still being
imported, a third of a second, ends them as later ones do."""

from __future__ import annotations

import sys
from importlib import import_module

EXIT_INTERRUPTED = 130


def main() -> None:
    """Run the module of this package that the first argument names, with the others."""
    name = sys.argv.pop(1)
    try:
        import_module(f"infra.{name}").main()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
