"""Other engines on the same weights: environments of their own, a minute of audio."""

from __future__ import annotations

import shutil
import subprocess
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from faster_whisper.feature_extractor import FeatureExtractor

from bench.asr.contest import INSTALLED, OURS, Bench, Contestant, Entry, compete, serve
from bench.asr.recordings import Recordings
from bench.asr.report import Part
from bench.asr.speed import table_of
from bench.asr.weights import write_ggml, write_npz
from bench.report import Narrator

PIECE_S = 60
ROUNDS = 3
#: PyPI's torch for Linux brings CUDA's libraries along; builds without them lie in an index that PyPI's clients do not
#: know unless they are told, so the big one is taken.
NEEDED_GB = 8
_INSTALL_LIMIT_S = 1200
_LAST_WORDS = 300


@dataclass(frozen=True)
class Peer:
    """An engine, and the packages that it takes."""

    name: str
    label: str
    packages: tuple[str, ...]
    environment: str
    """Engines that need torch share one, which is 6 GB."""


PEERS = (
    Peer("openai-whisper", "openai-whisper, float32", ("openai-whisper==20250625", "transformers==5.23.0"), "torch"),
    Peer(
        "transformers", "transformers batched 8, float32", ("openai-whisper==20250625", "transformers==5.23.0"), "torch"
    ),
    Peer("pywhispercpp", "pywhispercpp (whisper.cpp), float16", ("pywhispercpp==1.5.1",), "cpp"),
)


def measure(recordings: Recordings, bench: Bench, narrator: Narrator) -> list[Part]:
    """Those that can be installed; the others are named with the reason."""
    found, skipped = contestants(PEERS, bench, narrator)
    for contestant in found:
        serve(contestant, bench).close()  # so that no round pays for compiling Python
    piece = recordings.piece(PIECE_S)
    processes = [Entry(contestant, piece, ROUNDS) for contestant in (OURS, INSTALLED, *found)]
    loops = [Entry(contestant, piece, ROUNDS, loop=True) for contestant in (OURS, INSTALLED, *found)]
    part = table_of(compete([*processes, *loops], bench, narrator), bench)
    notes = (
        *part.notes,
        "The same weights, converted from the base model's float16; each at the precision that it runs in on a CPU: "
        "int8 for the first two. Greedy, language given, without falling back to higher temperatures.",
        *skipped,
    )
    return [Part("Other engines: one minute, two cores", part.grid, notes, part.data, part.svg)]


def contestants(peers: Sequence[Peer], bench: Bench, narrator: Narrator) -> tuple[list[Contestant], list[str]]:
    """Those that can be had here, and a sentence for each of the others."""
    found, skipped = [], []
    for peer in peers:
        try:
            python = _environment(peer, bench.folder, narrator)
        except (OSError, subprocess.SubprocessError) as error:
            skipped.append(f"{peer.name} is missing: {_reason(error)}")
            narrator.say(skipped[-1])
            continue
        command = [str(python), "-m", "bench.asr.peers_run", peer.name, str(_weights(peer, bench))]
        found.append(Contestant(peer.label, peer=(*command, str(bench.model_directory))))
    return found, skipped


def _environment(peer: Peer, folder: Path, narrator: Narrator) -> Path:
    """Its Python, installed the first time; raises ``OSError`` or ``SubprocessError`` when that fails."""
    home = folder / f"environment-{peer.environment}"
    python = home / "bin" / "python"
    if not home.exists():
        _require_space(folder, peer)
        narrator.say(f"installing {', '.join(peer.packages)}")
        venv.create(home, with_pip=True, symlinks=True)
        _install(python, peer.packages)
    return python


def _require_space(folder: Path, peer: Peer) -> None:
    free_gb = shutil.disk_usage(folder).free / 1e9
    if peer.environment == "torch" and free_gb < NEEDED_GB:
        raise OSError(f"{NEEDED_GB} GB of free disk are needed in {folder} and {free_gb:.1f} are there")


def _install(python: Path, packages: Sequence[str]) -> None:
    """With pip as this machine has it set up."""
    subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check", *packages],
        check=True,
        capture_output=True,
        text=True,
        timeout=_INSTALL_LIMIT_S,
    )


def _weights(peer: Peer, bench: Bench) -> Path:
    target = bench.folder / ("weights.bin" if peer.name == "pywhispercpp" else "weights.npz")
    if target.exists():
        return target
    if peer.name == "pywhispercpp":
        write_ggml(bench.model_directory, FeatureExtractor().mel_filters, target)
    else:
        write_npz(bench.model_directory, target)
    return target


def _reason(error: Exception) -> str:
    said = getattr(error, "stderr", None) or str(error)
    return str(said).strip()[-_LAST_WORDS:]
