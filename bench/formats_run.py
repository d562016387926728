"""Formats of a transcript as a process of their own, which answers with its seconds and its memory.

    python -m bench.formats_run TRANSCRIPT_JSON [--highlight-words] FORMAT...

The files are written beside the transcript, as `avskrift convert` does. Linux: the peak is the kernel's.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from pathlib import Path

from avskrift import formats
from avskrift.formats.files import write_file
from avskrift.formats.readers import read_file


def main() -> None:
    path, names = Path(sys.argv[1]), sys.argv[2:]
    options = formats.RenderOptions(highlight_words="--highlight-words" in names)
    names = [name for name in names if name in formats.FORMATS]
    began = time.perf_counter()
    transcript = read_file(path).transcript
    gc.freeze()  # as the command does
    read = time.perf_counter()
    size_bytes = 0
    for name, content in formats.write_all(transcript, names, options):
        write_file(path.with_name(f"talk.{formats.FORMATS[name].extension}"), content)
        size_bytes += len(content)
    answer = {
        "read_s": read - began,
        "write_s": time.perf_counter() - read,
        "peak_mb": _peak_mb(),
        "size_mb": size_bytes / 1e6,
    }
    sys.stdout.write(json.dumps(answer) + "\n")


def _peak_mb() -> float:
    """The most memory this process had, in MB of 10^6 bytes (``VmHWM``: unlike getrusage's, none of its parent's)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (kib,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kib) * 1_024 / 1e6


if __name__ == "__main__":
    main()
