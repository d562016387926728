"""Several recordings at once: short ones share batches, each keeps its own text, clock, language and faults."""

from __future__ import annotations

import os
import signal
import threading
import wave
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avskrift.asr import embedded, vad
from avskrift.asr.decoding import Decoder
from avskrift.asr.engine import Engine, EngineConfig, Progress, TranscribeOptions
from avskrift.asr.models import ResolvedModel
from avskrift.asr.plan import DecodingPlan
from avskrift.asr.short_files import Result, transcribe_many
from avskrift.asr.transcriber import Job, Transcriber
from avskrift.audio import SAMPLE_RATE_HZ, AudioFile
from avskrift.errors import BadOptions, Cancelled, TooLong, UnsupportedMedia, WorkerCrashed
from avskrift.transcript import Transcript
from tests.asr.scripted_transcriber import LoudnessNetwork, ScriptedDecoder

SWEDISH = TranscribeOptions(language="sv")


class CountingDecoder(ScriptedDecoder):
    """Notes how many chunks each batch has, and who they are by where they begin."""

    def __init__(self) -> None:
        super().__init__()
        self.plan = self.arranged = DecodingPlan("cpu", "int8", workers=1, threads=1, batch=4)
        self.batches: list[list[int]] = []

    def _decode_batch(self, chunks: Any, task: Any) -> Any:
        self.batches.append([chunk.clock.spans[0][0] for chunk in chunks])
        return super()._decode_batch(chunks, task)


class EnglishWhisper:
    """What a decoder asks of its network before it decodes anything."""

    is_multilingual = False
    languages = ("en",)

    def tokenizer(self, language: str, task: str) -> EnglishWhisper:
        return self

    def encode(self, text: str) -> list[int]:
        return list(map(len, text.split()))


class EnglishDecoder(ScriptedDecoder):
    """Refuses what the real one does."""

    check = Decoder.check

    def __init__(self) -> None:
        super().__init__()
        self.whisper: Any = EnglishWhisper()


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(EngineConfig(model="base", device="cpu")) as engine:
        yield engine


@pytest.fixture
def decoder(monkeypatch: pytest.MonkeyPatch) -> CountingDecoder:
    monkeypatch.setattr(vad, "get_vad_model", LoudnessNetwork)
    return CountingDecoder()


def test_short_files_share_batches_and_keep_their_own_text(decoder: CountingDecoder, tmp_path: Path) -> None:
    files = [recording(tmp_path / f"{n}.wav", seconds=10 + n, starts_at_s=n) for n in range(6)]
    together = transcripts(decoder, files)
    assert [len(batch) for batch in decoder.batches] == [4, 2]
    for file, transcript in zip(files, together, strict=True):
        alone = transcripts(decoder, [file])[0]
        assert isinstance(transcript, Transcript)
        assert isinstance(alone, Transcript)
        assert (transcript.duration_s, transcript.speech_s) == (alone.duration_s, alone.speech_s)
        assert [loudness(segment.text) for segment in transcript.segments] == [
            loudness(segment.text) for segment in alone.segments
        ]
        assert [segment.start_s for segment in transcript.segments] == [segment.start_s for segment in alone.segments]


def test_who_shares_a_batch_is_decided_by_the_order_alone(decoder: CountingDecoder, tmp_path: Path) -> None:
    files = [recording(tmp_path / f"{n}.wav", seconds=10 + n, starts_at_s=n) for n in range(5)]
    first = transcripts(decoder, files)
    seen, decoder.batches = decoder.batches, []
    assert transcripts(decoder, files) == first
    assert decoder.batches == seen


def test_faults_silence_and_long_files_keep_their_places(decoder: CountingDecoder, tmp_path: Path) -> None:
    text = tmp_path / "notes.mp3"
    text.write_text("no recording\n" * 200)
    files = [
        recording(tmp_path / "a.wav", seconds=12),
        text,
        recording(tmp_path / "silent.wav", seconds=0, starts_at_s=5),
        recording(tmp_path / "long.wav", seconds=130),
        recording(tmp_path / "b.wav", seconds=14),
        tmp_path / "gone.wav",
    ]
    opened: list[int] = []
    results = transcripts(decoder, files, opened)
    kinds = [type(result).__name__ for result in results]
    assert kinds == ["Transcript", "UnsupportedMedia", "Transcript", "Transcript", "Transcript", "UnsupportedMedia"]
    assert [round(result.speech_s) for result in results if isinstance(result, Transcript)] == [12, 0, 130, 14]
    assert opened == sorted(opened)
    assert set(opened) == set(range(len(files)))


def test_a_file_longer_than_its_header_says_goes_alone(
    decoder: CountingDecoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AudioFile, "expected_duration_s", 5.0)
    files = [recording(tmp_path / "long.wav", seconds=300), recording(tmp_path / "a.wav", seconds=10)]
    long, short = transcripts(decoder, files)
    assert isinstance(long, Transcript)
    assert isinstance(short, Transcript)
    assert round(long.speech_s) == 300
    assert round(short.speech_s) == 10


def test_cancelling_ends_them_all(decoder: CountingDecoder, tmp_path: Path) -> None:
    files = short_files(tmp_path, 3)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        transcripts(decoder, files, cancel=cancel)


def test_cancelling_amid_a_batch_ends_those_behind_it(decoder: CountingDecoder, tmp_path: Path) -> None:
    files = short_files(tmp_path, 8)
    cancel = threading.Event()
    decoder.after_batch = cancel.set
    with pytest.raises(Cancelled):
        transcripts(decoder, files, cancel=cancel)
    assert len(decoder.decoded) == 4


def test_a_file_that_fails_amid_decoding_does_not_cancel_the_next(decoder: CountingDecoder, tmp_path: Path) -> None:
    """It is too long, which is known once its first minutes are on their way."""
    files = [recording(tmp_path / "long.wav", seconds=300), *short_files(tmp_path, 2)]
    cancel = threading.Event()
    options = TranscribeOptions(language="sv", max_duration_s=200)
    too_long, *others = transcripts(decoder, files, cancel=cancel, options=options)
    assert isinstance(too_long, TooLong)
    assert sum(map(len, decoder.batches)) > len(others), "it failed before any of it was decoded"
    assert [type(result) for result in others] == [Transcript] * 2
    assert not cancel.is_set()


def test_given_up_decoding_does_not_set_the_callers_event(decoder: CountingDecoder, tmp_path: Path) -> None:
    cancel = threading.Event()
    jobs = [Job(file, SWEDISH, lambda _: None, cancel) for file in short_files(tmp_path, 12)]
    results = transcribe_many(Transcriber(ResolvedModel("scripted", Path()), decoder), jobs)
    assert isinstance(results, Generator)
    next(results)
    results.close()
    assert not cancel.is_set()


@pytest.mark.parametrize("count", [1, 2], ids=["one", "several"])
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (TranscribeOptions(language="sv"), "English only"),
        (TranscribeOptions(task="translate"), "English only"),
        (TranscribeOptions(language="en", prompt="word " * 300), "tokens"),
    ],
    ids=["language", "task", "prompt"],
)
def test_what_the_model_cannot_honour_is_refused_before_a_file_is_opened(
    tmp_path: Path, options: TranscribeOptions, reason: str, count: int
) -> None:
    opened: list[int] = []
    with pytest.raises(BadOptions, match=reason):
        transcripts(EnglishDecoder(), short_files(tmp_path, count), opened, options=options)
    assert opened == []


def test_what_was_done_before_does_not_change_what_silent_files_report(
    decoder: CountingDecoder, tmp_path: Path
) -> None:
    decoder.plan = decoder.arranged = DecodingPlan("cpu", "int8", workers=2, threads=1, batch=4)
    silent = [recording(tmp_path / "silent.wav", seconds=0, starts_at_s=5)] * 2
    fresh = transcripts(decoder, silent)
    transcripts(decoder, [recording(tmp_path / "a.wav", seconds=10)])
    assert decoder.arranged == decoder.plan.alone
    assert transcripts(decoder, silent) == fresh


@pytest.mark.speech
@pytest.mark.xdist_group("asr-engine")
@pytest.mark.skipif(not embedded.is_installed(), reason="the base-model extra is not installed")
class TestWithTheModel:
    def test_files_in_two_languages_are_heard_in_one_batch(
        self, engine: Engine, samples: Path, silent_wav: Path
    ) -> None:
        files = [samples / "sv.ogg", samples / "en.ogg", silent_wav, samples / "sv.txt", samples / "en.ogg"]
        swedish, english, silence, text, again = engine.transcribe_many(files)
        assert isinstance(swedish, Transcript)
        assert isinstance(english, Transcript)
        assert isinstance(again, Transcript)
        assert isinstance(silence, Transcript)
        assert (swedish.language, english.language, silence.language) == ("sv", "en", None)
        assert "welcome to the meeting" in english.text.lower()
        assert again.text == english.text
        assert isinstance(text, UnsupportedMedia)

    def test_a_crash_costs_nothing_but_time_where_it_was_nobodys_fault(self, engine: Engine, samples: Path) -> None:
        kills = [1]

        def kill(place: int, _: Progress) -> None:
            if place == 1 and kills:
                kills.pop()
                assert engine.worker_pid
                os.kill(engine.worker_pid, signal.SIGKILL)

        results = list(engine.transcribe_many([samples / "en.ogg"] * 3, TranscribeOptions(language="en"), kill))
        assert [type(result) for result in results] == [Transcript] * 3

    def test_a_file_that_kills_the_worker_is_the_only_one_lost(self, engine: Engine, samples: Path) -> None:
        def kill(place: int, _: Progress) -> None:
            assert engine.worker_pid
            os.kill(engine.worker_pid, signal.SIGKILL)

        (result,) = engine.transcribe_many([samples / "en.ogg"], TranscribeOptions(language="en"), kill)
        assert isinstance(result, WorkerCrashed)
        assert engine.transcribe(samples / "en.ogg").language == "en"

    def test_cancelling_keeps_the_worker(self, engine: Engine, samples: Path) -> None:
        engine.start()
        worker, cancel = engine.worker_pid, threading.Event()
        cancel.set()
        with pytest.raises(Cancelled):
            list(engine.transcribe_many([samples / "en.ogg"] * 2, cancel=cancel))
        assert engine.worker_pid == worker

    def test_cancelling_amid_several_files_keeps_the_worker(self, engine: Engine, samples: Path) -> None:
        engine.start()
        worker, cancel = engine.worker_pid, threading.Event()

        def stop(place: int, _: Progress) -> None:
            if place == 1:
                cancel.set()

        with pytest.raises(Cancelled):
            list(engine.transcribe_many([samples / "en.ogg"] * 6, TranscribeOptions(language="en"), stop, cancel))
        assert engine.worker_pid == worker
        assert engine.transcribe(samples / "en.ogg").language == "en"

    @pytest.mark.parametrize("options", [TranscribeOptions(prompt="word " * 480), TranscribeOptions(language="yue")])
    def test_several_files_are_refused_as_one_is(
        self, engine: Engine, samples: Path, options: TranscribeOptions
    ) -> None:
        engine.start()
        worker = engine.worker_pid
        with pytest.raises(BadOptions) as of_one:
            engine.transcribe(samples / "en.ogg", options)
        with pytest.raises(BadOptions) as of_several:
            list(engine.transcribe_many([samples / "en.ogg"] * 2, options))
        assert str(of_several.value) == str(of_one.value)
        assert engine.worker_pid == worker

    def test_bad_options_are_refused_before_anything_is_read(self, engine: Engine) -> None:
        with pytest.raises(BadOptions):
            engine.transcribe_many([], TranscribeOptions(language="klingon"))

    @pytest.mark.slow  # six seconds of the model
    def test_what_was_done_before_does_not_change_a_short_file(self, samples: Path, tmp_path: Path) -> None:
        """A fresh engine has the model loaded for one batch on every core, a used one for several, too."""
        long = recording(tmp_path / "long.wav", seconds=125)
        with Engine(EngineConfig(model="base", device="cpu")) as engine:
            fresh = engine.transcribe(samples / "sv.ogg")
            engine.transcribe(long, SWEDISH)
            assert engine.transcribe(samples / "sv.ogg") == fresh
        assert fresh.engine["workers"] == 1
        assert fresh.engine["isa"]


def transcripts(
    decoder: ScriptedDecoder,
    files: list[Path],
    opened: list[int] | None = None,
    cancel: threading.Event | None = None,
    options: TranscribeOptions = SWEDISH,
) -> list[Result]:
    transcriber = Transcriber(ResolvedModel("scripted", Path()), decoder)
    jobs = [Job(file, options, lambda _: None, cancel or threading.Event()) for file in files]
    results = list(transcribe_many(transcriber, jobs, (opened if opened is not None else []).append))
    assert [place for place, _ in results] == list(range(len(files)))
    return [result for _, result in results]


def short_files(folder: Path, count: int) -> list[Path]:
    return [recording(folder / f"{n}.wav", seconds=10) for n in range(count)]


def loudness(text: str) -> str:
    return text.partition(":")[2]


def recording(path: Path, *, seconds: float, starts_at_s: float = 0) -> Path:
    """Noise, of its own loudness, behind silence."""
    generator = np.random.default_rng(round(seconds * 10))
    noise = generator.uniform(-0.2, 0.2, round(seconds * SAMPLE_RATE_HZ))
    samples = np.concatenate([np.zeros(round(starts_at_s * SAMPLE_RATE_HZ)), noise])
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes((samples * 32_767).astype("<i2").tobytes())
    return path
