"""Chromium for tests: the one of the machine. ``python -m tests.formats.browser`` prints it, or fails."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> Path | None:
    """That of ``AVSKRIFT_CHROMIUM``, else the first on the path."""
    named = os.environ.get("AVSKRIFT_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, NAMES)), None)
    return Path(found) if found else None


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Without a window and without a network; ends with the block."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # As root, the sandbox can't be made; the pages are our own.
        options = ["--no-sandbox", "--mute-audio"]
        browser = playwright.chromium.launch(executable_path=chromium(), args=options)
        yield browser
        browser.close()


if __name__ == "__main__":
    found = chromium()
    print(found or "none")
    sys.exit(not found)
