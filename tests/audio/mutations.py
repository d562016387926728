"""Media files that no encoder would write: recordings of many kinds with their bytes flipped, cut, spliced, edited.

Run as a program it reads files as the worker does, and says of each what became of it: one JSON line a file. In a
process of its own, because what is tested is also that native code survives.
"""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.audio.media_files import Picture, Sound, encode

KINDS: dict[str, tuple[Sound, Picture | None]] = {
    "a.wav": (Sound("pcm_s16le", 16_000, "stereo", 2.0), None),
    "b.wav": (Sound("adpcm_ms", 8_000, seconds=2.0), None),
    "a.mp3": (Sound("mp3", 44_100, seconds=2.0), None),
    "b.mp3": (Sound("mp3", 16_000, "stereo", 2.0, options={"q": "5"}), None),
    "a.m4a": (Sound("aac", 44_100, "stereo", 2.0), None),
    "b.m4a": (Sound("alac", 16_000, seconds=2.0), None),
    "a.aac": (Sound("aac", 16_000, seconds=2.0), None),
    "a.ogg": (Sound("libopus", seconds=2.0), None),
    "b.ogg": (Sound("vorbis", 16_000, "stereo", 2.0, options={"strict": "experimental"}), None),
    "a.flac": (Sound("flac", 16_000, seconds=2.0), None),
    "b.flac": (Sound("flac", 48_000, "5.1", 1.0), None),
    "a.webm": (Sound("libopus", seconds=2.0), None),
    "a.mkv": (Sound("flac", 16_000, seconds=2.0), None),
    "a.mp4": (Sound("aac", 48_000, seconds=2.0), Picture()),
    "a.mov": (Sound("pcm_s16le", 16_000, seconds=2.0), None),
    "a.ts": (Sound("aac", 48_000, seconds=2.0), Picture()),
    "a.avi": (Sound("mp3", 44_100, seconds=2.0), Picture()),
    "a.flv": (Sound("mp3", 44_100, seconds=2.0), None),
    "a.amr": (Sound("libopencore_amrnb", 8_000, seconds=2.0), None),
    "a.aiff": (Sound("pcm_s16be", 16_000, seconds=2.0), None),
    "a.wma": (Sound("wmav2", 44_100, "stereo", 2.0, options={"b": "128k"}), None),
    "a.ac3": (Sound("ac3", 48_000, "5.1", 2.0), None),
    "a.wv": (Sound("wavpack", 16_000, seconds=2.0), None),
    "a.caf": (Sound("alac", 16_000, seconds=2.0), None),
}

#: Where containers say what they hold.
HEADER_BYTES = 400
#: Numbers that break arithmetic.
TELLING = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)

Mutation = Callable[[bytearray, np.random.Generator, bytes], bytes]


def flip_bytes(data: bytearray, random: np.random.Generator, _: bytes) -> bytes:
    for at in random.integers(len(data), size=random.integers(1, 60)):
        data[at] ^= int(random.integers(1, 256))
    return bytes(data)


def flip_header(data: bytearray, random: np.random.Generator, _: bytes) -> bytes:
    for at in random.integers(min(HEADER_BYTES, len(data)), size=random.integers(1, 6)):
        data[at] ^= int(random.integers(1, 256))
    return bytes(data)


def edit_number(data: bytearray, random: np.random.Generator, _: bytes) -> bytes:
    """A size, count, rate or time becomes another, near the beginning or, where MP4 has its index, the end."""
    for _ in range(random.integers(1, 4)):
        length = int(random.choice([1, 2, 4, 8]))
        near = int(random.integers(min(HEADER_BYTES, len(data) - 8)))
        at = near if random.random() < 0.6 else len(data) - 8 - near
        number = int(random.choice(TELLING)) & (1 << 8 * length) - 1
        data[at : at + length] = number.to_bytes(length, "big" if random.random() < 0.5 else "little")
    return bytes(data)


def cut(data: bytearray, random: np.random.Generator, _: bytes) -> bytes:
    return bytes(data[: random.integers(1, len(data))])


def drop(data: bytearray, random: np.random.Generator, _: bytes) -> bytes:
    start = int(random.integers(len(data)))
    del data[start : start + int(random.integers(1, len(data) // 2))]
    return bytes(data)


def repeat(data: bytearray, random: np.random.Generator, _: bytes) -> bytes:
    start = int(random.integers(len(data)))
    piece = data[start : start + int(random.integers(1, 2_000))]
    return bytes(data[:start] + piece * int(random.integers(1, 20)) + data[start:])


def splice(data: bytearray, random: np.random.Generator, other: bytes) -> bytes:
    """The beginning of one file, then some of another."""
    at, start = int(random.integers(len(data))), int(random.integers(len(other)))
    return bytes(data[:at]) + other[start:] + (bytes(data[at:]) if random.random() < 0.5 else b"")


def overwrite(data: bytearray, random: np.random.Generator, _: bytes) -> bytes:
    start, length = int(random.integers(len(data))), int(random.integers(1, len(data) // 3))
    data[start : start + length] = random.bytes(length) if random.random() < 0.7 else bytes(length)
    return bytes(data)


MUTATIONS: tuple[Mutation, ...] = (
    flip_bytes,
    flip_header,
    edit_number,
    edit_number,
    cut,
    drop,
    repeat,
    splice,
    overwrite,
)


def write_mutations(folder: Path, numbers: Iterable[int]) -> list[Path]:
    """The same files for the same numbers, wherever the encoders are the same; names tell what was done."""
    sound = {}
    for name, (recording, picture) in KINDS.items():
        encode(folder / name, recording, picture=picture)
        sound[name] = (folder / name).read_bytes()
    names, paths = list(sound), []
    for number in numbers:
        random = np.random.default_rng([7, number])
        name, other = names[number % len(names)], names[random.integers(len(names))]
        mutation = MUTATIONS[random.integers(len(MUTATIONS))]
        path = folder / f"{number}-{mutation.__name__}-{name}"
        path.write_bytes(mutation(bytearray(sound[name]), random, sound[other]))
        paths.append(path)
    return paths


@dataclass(frozen=True)
class Outcome:
    """What became of a file: ``code`` is ``read``, an error's code, or how the process died of it."""

    path: Path
    code: str
    duration_s: float = 0.0
    memory_mb: float = 0.0


def read_apart(paths: list[Path], limit_s: int, address_space_mb: int) -> Iterator[Outcome]:
    """Each file read in a child; one that kills it costs that file alone, and is named."""
    left = list(paths)
    while left:
        child = subprocess.run(
            [sys.executable, "-m", "tests.audio.mutations", str(limit_s), str(address_space_mb)],
            input="\n".join(map(str, left)),
            capture_output=True,
            text=True,
            check=False,
        )
        done = [Outcome(left[n], **json.loads(line)) for n, line in enumerate(child.stdout.splitlines())]
        yield from done
        left = left[len(done) :]
        if left:
            how = signal.Signals(-child.returncode).name if child.returncode < 0 else f"exit {child.returncode}"
            yield Outcome(left.pop(0), f"{how} {child.stderr[-300:]}")


def main() -> None:
    """Read the files named on stdin; a file that takes too long ends the process by SIGALRM."""
    from avskrift.audio import AudioFile
    from avskrift.errors import AvskriftError

    limit_s, address_space_mb = int(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (address_space_mb << 20, address_space_mb << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        signal.alarm(limit_s)
        duration_s = 0.0
        try:
            with AudioFile(Path(line.rstrip("\n")), max_duration_s=3600.0) as media:
                for block in media.blocks():
                    if not (np.isfinite(block).all() and np.abs(block).max(initial=0.0) <= 1.0):
                        raise ArithmeticError(line)
                duration_s = media.duration_s
            code = "read"
        except AvskriftError as error:
            code = error.code
        signal.alarm(0)
        print(json.dumps({"code": code, "duration_s": duration_s, "memory_mb": peak_mb()}), flush=True)


def peak_mb() -> float:
    """Of this program alone: ``ru_maxrss`` begins with what its parent had when it forked."""
    status = Path("/proc/self/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kilobytes) / 1024


if __name__ == "__main__":
    main()
