"""The engine against faster-whisper's batched mode: same weights, same audio, same cores, taking turns.

Both run as a process of their own from start to end. Faster-whisper gets as many threads as there are cores and the
environment as it is; the engine starts its worker as it always does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avskrift.asr import models
from avskrift.asr.engine import Engine, EngineConfig, TranscribeOptions
from avskrift.audio import SAMPLE_RATE_HZ, load, probe
from avskrift.errors import WorkerCrashed
from avskrift.local.settings import CHECKOUT
from bench.machine import limited_to_cores
from bench.report import Narrator, Row, Section, ratios
from bench.words import percent_apart

MODEL = "base"
COMPUTE_TYPE = "int8"
CORES = 2
THEIR_BATCH = 8
LANGUAGE = "sv"
SAMPLE = CHECKOUT / "samples" / "sv.ogg"


@dataclass(frozen=True)
class Recording:
    """Audio and, as far as known, what is said in it."""

    path: Path
    duration_s: float
    spoken: str


@dataclass(frozen=True)
class Run:
    """One recording through one engine."""

    whole_s: float
    """From before its process starts until after it has ended."""
    load_s: float
    """From before its process starts to a loaded model."""
    transcribe_s: float
    text: str


@dataclass(frozen=True)
class Round:
    """The contestants once, one right after the other."""

    ours: Run
    theirs: Run
    theirs_with_words: Run | None = None
    """In the first round only: it takes longest, and is a second opinion."""


def recording(folder: Path, *, quick: bool) -> Recording:
    """Swedish from the corpus (``AVSKRIFT_CORPUS``), or the project's own sample over and over in ``folder``."""
    corpus = Path(os.environ.get("AVSKRIFT_CORPUS") or CHECKOUT.parent / "shared" / "audio")
    path = corpus / ("sv_espeak_60s.flac" if quick else "sv_espeak_10min.flac")
    if path.exists():
        return Recording(path, probe(path).duration_s or 0.0, path.with_suffix(".txt").read_text(encoding="utf-8"))
    return _repeated_sample(folder, at_least_s=60.0 if quick else 600.0)


def measure(recorded: Recording, rounds: int, narrator: Narrator) -> list[Round]:
    """``rounds`` rounds on at most two cores."""
    directory = models.resolve(MODEL).directory  # unpacked before anything is timed
    measured = []
    with limited_to_cores(CORES) as cores:
        for number in range(1, rounds + 1):
            done = Round(
                ours=run_ours(recorded, cores),
                theirs=run_theirs(recorded, directory, cores, words=False),
                theirs_with_words=run_theirs(recorded, directory, cores, words=True) if number == 1 else None,
            )
            measured.append(done)
            narrator.say(
                f"round {number} of {rounds}: avskrift {done.ours.whole_s:.1f} s, "
                f"faster-whisper batched {done.theirs.whole_s:.1f} s"
            )
    return measured


def run_ours(recorded: Recording, cores: int) -> Run:
    """Word times included: the engine always aligns."""
    config = EngineConfig(model=MODEL, device="cpu", compute_type=COMPUTE_TYPE, threads=cores)
    began = time.perf_counter()
    with Engine(config) as engine:
        load_s = engine.start().load_s
        ready = time.perf_counter()
        transcript = engine.transcribe(recorded.path, TranscribeOptions(language=LANGUAGE))
        transcribe_s = time.perf_counter() - ready
    return Run(time.perf_counter() - began, load_s, transcribe_s, transcript.text)


def run_theirs(recorded: Recording, directory: Path, cores: int, *, words: bool) -> Run:
    settings = {"compute_type": COMPUTE_TYPE, "cores": cores, "batch": THEIR_BATCH}
    request = {"recording": str(recorded.path), "language": LANGUAGE, "beam": 1, "words": words}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "bench.faster_whisper_run", str(directory), json.dumps(settings)],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
    )
    whole_s = time.perf_counter() - began
    if done.returncode != 0:
        raise WorkerCrashed(f"faster-whisper's run failed: {done.stderr.strip()[-500:]}")
    answer = json.loads(done.stdout.splitlines()[-1])
    return Run(whole_s, whole_s - answer["transcribe_s"], answer["transcribe_s"], answer["text"])


def section(recorded: Recording, measured: Sequence[Round]) -> Section:
    """Real-time factors (seconds of work per second of audio), their ratios, and the texts held against each other."""
    title = (
        f"Speech: {recorded.path.name}, {recorded.duration_s:.0f} s, {MODEL} {COMPUTE_TYPE} on CPU, at most {CORES} "
        f"cores, greedy; faster-whisper with batch {THEIR_BATCH}"
    )
    ours = [one.ours for one in measured]
    theirs = [one.theirs for one in measured]
    with_words = [one.theirs_with_words for one in measured if one.theirs_with_words]
    ours_beside = [one.ours for one in measured if one.theirs_with_words]
    return Section(
        title,
        (
            Row("model load: worker process started → ready", "s", tuple(run.load_s for run in ours)),
            _factors("real-time factor, whole process: avskrift, with word times", ours, recorded.duration_s),
            _factors("real-time factor, whole process: faster-whisper batched", theirs, recorded.duration_s),
            _factors("real-time factor, whole process: the same, with word times", with_words, recorded.duration_s),
            ratios("avskrift / faster-whisper batched, whole process", _whole(ours), _whole(theirs)),
            ratios("avskrift / the same with word times, whole process", _whole(ours_beside), _whole(with_words)),
            ratios("avskrift / faster-whisper batched, model loaded", _transcribe(ours), _transcribe(theirs)),
            ratios(
                "avskrift / the same with word times, model loaded", _transcribe(ours_beside), _transcribe(with_words)
            ),
            *_text_rows(recorded, measured),
        ),
    )


def _text_rows(recorded: Recording, measured: Sequence[Round]) -> tuple[Row, ...]:
    """All runs of one engine are expected to say the same; the range shows it if they don't."""
    pairs = [(one.ours.text, one.theirs.text) for one in measured]
    return (
        Row("words that differ between the two texts", "%", tuple(percent_apart(their, our) for our, their in pairs)),
        Row("word error rate: avskrift", "%", tuple(percent_apart(recorded.spoken, our) for our, _ in pairs)),
        Row("word error rate: faster-whisper batched", "%", tuple(percent_apart(recorded.spoken, t) for _, t in pairs)),
    )


def _factors(name: str, runs: Sequence[Run], duration_s: float) -> Row:
    return Row(name, "x", tuple(run.whole_s / duration_s for run in runs))


def _whole(runs: Sequence[Run]) -> list[float]:
    return [run.whole_s for run in runs]


def _transcribe(runs: Sequence[Run]) -> list[float]:
    return [run.transcribe_s for run in runs]


def _repeated_sample(folder: Path, at_least_s: float) -> Recording:
    samples = load(SAMPLE)
    times = int(at_least_s * SAMPLE_RATE_HZ // len(samples)) + 1
    path = folder / f"sv-{times}-times.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(np.tile((samples * 32767).astype(np.int16), times).tobytes())
    spoken = SAMPLE.with_suffix(".txt").read_text(encoding="utf-8")
    return Recording(path, times * len(samples) / SAMPLE_RATE_HZ, "\n".join([spoken] * times))
