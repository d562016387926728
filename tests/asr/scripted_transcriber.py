"""A transcriber whose two networks are doubles: real media, real turns and packing, real sharing out of chunks."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import av
import numpy as np

from avskrift.asr import vad
from avskrift.asr.decoded import AlignedWord, DecodedChunk
from avskrift.asr.decoding import Decoder
from avskrift.asr.language import DetectedLanguage
from avskrift.asr.models import ResolvedModel
from avskrift.asr.options import Progress, TranscribeOptions
from avskrift.asr.packing import Chunk
from avskrift.asr.plan import DecodingPlan
from avskrift.asr.reading import Window
from avskrift.asr.task import Stop
from avskrift.asr.transcriber import Job, Transcriber
from avskrift.audio import SAMPLE_RATE_HZ, Samples
from avskrift.errors import Cancelled
from avskrift.transcript import Transcript
from tests.asr.decoded_samples import decoded

DETECTED = DetectedLanguage("sv", 0.75)


class LoudnessNetwork:
    """Takes what is loud for speech, and counts what it hears."""

    def __init__(self) -> None:
        self.session = self
        self.windows_heard = 0

    def run(self, _: None, inputs: dict[str, Any]) -> tuple[Samples, Samples, Samples]:
        self.windows_heard += len(inputs["input"])
        loud = np.abs(inputs["input"]).mean(axis=1, keepdims=True) > 0.01
        return loud.astype(np.float32), inputs["h"], inputs["c"]


@contextmanager
def loudness_instead_of_speech() -> Iterator[LoudnessNetwork]:
    """Every detection of speech in here hears loudness."""
    network = LoudnessNetwork()
    with patch.object(vad, "get_vad_model", lambda: network):
        yield network


class ScriptedDecoder(Decoder):
    """Shares out chunks as the real one does and says of each how loud it is and with whom it shared a batch."""

    def __init__(self) -> None:
        self.plan = DecodingPlan("cpu", "int8", workers=1, threads=1, batch=2)
        self.arranged = self.plan
        self.decoded: list[float] = []
        self.languages_detected = 0
        self.after_batch: Callable[[], None] = lambda: None

    def check(self, options: TranscribeOptions) -> None:
        pass

    def detect_language(self, chunks: Any, home: Any) -> DetectedLanguage:
        self.languages_detected += 1
        return DETECTED

    def _expect(self, plan: DecodingPlan) -> None:
        pass

    def _use(self, plan: DecodingPlan) -> None:
        pass

    def _task(self, options: TranscribeOptions, language: str, stop: Stop) -> Any:
        return stop

    def _task_of(self, window: Window, task: Any) -> Any:
        return task

    def _decode_batch(self, chunks: Sequence[Chunk], task: Any) -> list[DecodedChunk]:
        if task.is_set():
            raise Cancelled("Transcription was cancelled.")
        together = "+".join(str(chunk.clock.spans[0][0]) for chunk in chunks)
        said = [decoded(chunk, self._word(chunk, together)) for chunk in chunks]
        self.decoded += [chunk.clock.end_s for chunk in chunks]
        self.after_batch()
        return said

    def _word(self, chunk: Chunk, together: str) -> AlignedWord:
        loudness = float(np.abs(chunk.samples).mean())
        return AlignedWord(f" {together}:{loudness}\u00e5\ud800.", 0.1, chunk.clock.duration_s / 3, loudness)


@dataclass
class Bench:
    """A transcriber with a scripted decoder, a recording, and a place for its checkpoint."""

    recording: Path
    checkpoint: Path
    weights: Path
    options: TranscribeOptions = field(default_factory=TranscribeOptions)
    decoder: ScriptedDecoder = field(default_factory=ScriptedDecoder)
    cancel: threading.Event = field(default_factory=threading.Event)
    seen: list[Progress] = field(default_factory=list)

    def transcribe(self) -> Transcript:
        self.decoder.decoded = []
        self.seen.clear()
        model = ResolvedModel("scripted", self.weights.parent)
        job = Job(self.recording, self.options, self.seen.append, self.cancel, self.checkpoint)
        return Transcriber(model, self.decoder).transcribe(job)

    def lines(self) -> list[bytes]:
        return self.checkpoint.read_bytes().splitlines(keepends=True)


def make_bench(recording: Path, folder: Path) -> Bench:
    (folder / "model.bin").write_bytes(b"weights")
    return Bench(recording, folder / "checkpoint.jsonl", folder / "model.bin")


def write_flac(path: Path, *channels: Any) -> Path:
    """One or two channels of equal length."""
    layout = ("mono", "stereo")[len(channels) - 1]
    interleaved = np.stack(channels, axis=1).reshape(1, -1)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("flac", rate=SAMPLE_RATE_HZ, layout=layout)
        frame = av.AudioFrame.from_ndarray((interleaved * 32_000).astype("<i2"), format="s16", layout=layout)
        frame.sample_rate = SAMPLE_RATE_HZ
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def resumed_at(transcript: Transcript) -> float | None:
    return transcript.engine.get("resumed_at_s")


def as_uninterrupted(transcript: Transcript) -> Transcript:
    engine = {name: value for name, value in transcript.engine.items() if name != "resumed_at_s"}
    return replace(transcript, engine=engine)


def ends_of(line: bytes) -> list[float]:
    return [chunk["spans"][-1][1] / SAMPLE_RATE_HZ for chunk in json.loads(line)["chunks"]]
