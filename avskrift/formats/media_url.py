"""Where the recording lies, as pages and manifests may name it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from avskrift.errors import BadOptions

#: Browsers drop some of these and then read another address than was checked.
_NEVER_IN_A_URL = re.compile('[\x00-\x20\x7f-\x9f\\\\<>"\ud800-\udfff]')


def checked_media_url(url: str) -> str:
    """The address itself: http, https, or relative to the file written; raises ``BadOptions`` for any other."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _refused(url) from None
    relative = not parts.scheme and not parts.netloc and bool(url) and not url.startswith("//")
    absolute = parts.scheme in ("http", "https") and bool(parts.netloc)
    if _NEVER_IN_A_URL.search(url) or not (relative or absolute):
        raise _refused(url)
    return url


def _refused(url: str) -> BadOptions:
    return BadOptions(
        f"{url!r} is no address of a recording that a page can play: give http://…, https://…, or a path relative to "
        "the written file, with spaces and other special characters percent-encoded."
    )
