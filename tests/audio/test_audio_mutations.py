"""Mutated media files end in bounded time and memory, without a crash, as a recording or as an error of the tree."""

from __future__ import annotations

import os
import struct
from collections import Counter
from pathlib import Path

import pytest

from tests.audio.mutations import KINDS, read_apart, write_mutations

#: Beyond every file here by far; a file that takes so long hangs.
LIMIT_S = 60
#: Libraries, buffers and the biggest block fit; a size that a file invents would not.
ADDRESS_SPACE_MB = 3_000
MEMORY_MB = 400
VERDICTS = {"read", "unsupported_media", "no_audio_stream", "too_long", "too_large"}


def check(paths: list[Path]) -> Counter[str]:
    outcomes = list(read_apart(paths, LIMIT_S, ADDRESS_SPACE_MB))
    assert [outcome.path for outcome in outcomes] == paths
    assert [outcome for outcome in outcomes if outcome.code not in VERDICTS] == []
    assert max(outcome.memory_mb for outcome in outcomes) < MEMORY_MB
    return Counter(outcome.code for outcome in outcomes)


def test_the_recordings_themselves_are_read(tmp_path: Path) -> None:
    write_mutations(tmp_path, [])
    assert check([tmp_path / name for name in KINDS]) == {"read": len(KINDS)}


def test_a_thousand_mutated_files_are_read_or_refused(tmp_path: Path) -> None:
    verdicts = check(write_mutations(tmp_path, range(1_000)))
    assert verdicts["read"] > 500, "what is left of most can be heard"
    assert verdicts["unsupported_media"] > 100, "and not of all"


@pytest.mark.slow
def test_twenty_thousand_mutated_files_are_read_or_refused(tmp_path: Path) -> None:
    for first in range(1_000, 21_000, 1_000):
        folder = tmp_path / str(first)
        folder.mkdir()
        paths = write_mutations(folder, range(first, first + 1_000))
        check(paths)
        for path in paths:
            path.unlink()


def write_silence(path: Path, duration_s: int, rate_hz: int) -> None:
    """A mono WAV file of 16 bits that takes no room on disk."""
    size = duration_s * rate_hz * 2
    sound = struct.pack("<4sIHHIIHH4sI", b"fmt ", 16, 1, 1, rate_hz, rate_hz * 2, 2, 16, b"data", size)
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(sound) + size) + b"WAVE" + sound)
    os.truncate(path, path.stat().st_size + size)


def test_a_crash_and_a_hang_would_be_seen(tmp_path: Path) -> None:
    """Of this test's own machinery: a recording that takes far longer than it may stands for both."""
    paths = write_mutations(tmp_path, range(3))
    write_silence(paths[1], duration_s=3_000, rate_hz=96_000)
    outcomes = list(read_apart(paths, 1, ADDRESS_SPACE_MB))
    assert [outcome.code in VERDICTS for outcome in outcomes] == [True, False, True]
    assert outcomes[1].code.startswith("SIGALRM")
