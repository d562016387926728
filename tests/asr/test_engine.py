"""The engine as callers know it: real speech in, a Transcript out, and a process that may die without harm."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from avskrift.asr import embedded
from avskrift.asr import engine as engine_module
from avskrift.asr.engine import Engine, EngineConfig, Progress, TranscribeOptions
from avskrift.asr.process import ALLOCATOR_ENVIRONMENT, worker_environment
from avskrift.errors import BadOptions, Cancelled, ModelUnavailable, NoAudioStream, TooLarge, TooLong, UnsupportedMedia
from avskrift.errors import WorkerCrashed as Crashed
from avskrift.transcript import Transcript
from tests.formats.published_schema import faults_in

pytestmark = [
    pytest.mark.speech,
    pytest.mark.xdist_group("asr-engine"),
    pytest.mark.skipif(not embedded.is_installed(), reason="the base-model extra is not installed"),
]

SWEDISH = TranscribeOptions(language="sv")


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(EngineConfig(model="base", device="cpu")) as engine:
        yield engine


@pytest.fixture(scope="module")
def swedish(engine: Engine, samples: Path) -> Transcript:
    return engine.transcribe(samples / "sv.ogg", SWEDISH)


def words_of(text: str) -> list[str]:
    kept = "".join(character.lower() if character.isalnum() else " " for character in text)
    return kept.split()


def word_errors(expected: list[str], heard: list[str]) -> int:
    """Levenshtein distance in words."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(expected, 1):
        previous = row
        row = [i]
        for j, other in enumerate(heard, 1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (word != other)))
    return row[-1]


@pytest.mark.parametrize("language", ["sv", "en"])
def test_the_samples_are_heard_almost_word_for_word(engine: Engine, samples: Path, language: str) -> None:
    expected = words_of((samples / f"{language}.txt").read_text())
    transcript = engine.transcribe(samples / f"{language}.ogg", TranscribeOptions(language=language))
    assert word_errors(expected, words_of(transcript.text)) <= 0.1 * len(expected)
    assert transcript.language == language
    assert transcript.language_probability is None


def test_words_have_times_in_order_and_a_measured_confidence(swedish: Transcript) -> None:
    words = [word for segment in swedish.segments for word in segment.words]
    assert len(words) == swedish.word_count
    for left, right in pairwise(words):
        assert left.start_s <= left.end_s <= right.start_s <= right.end_s
    assert words[-1].end_s <= swedish.duration_s
    confidences = {word.confidence for word in words}
    assert len(confidences) > len(words) / 2
    assert all(0 <= confidence <= 1 for confidence in confidences if confidence is not None)


def test_no_segment_reaches_over_the_long_pause(swedish: Transcript) -> None:
    gaps = [right.start_s - left.end_s for left, right in pairwise(swedish.segments)]
    assert max(gaps) > 1
    for segment in swedish.segments:
        assert all(right.start_s - left.end_s <= 1 for left, right in pairwise(segment.words))
    assert 0 < swedish.speech_s < swedish.duration_s


def test_the_language_is_detected_with_its_probability(engine: Engine, samples: Path) -> None:
    transcript = engine.transcribe(samples / "en.ogg")
    assert transcript.language == "en"
    assert transcript.language_probability is not None
    assert transcript.language_probability > 0.5


def test_the_same_file_gives_the_same_transcript(engine: Engine, samples: Path, swedish: Transcript) -> None:
    assert engine.transcribe(samples / "sv.ogg", SWEDISH) == swedish


def test_words_are_left_out_when_nobody_wants_them(engine: Engine, samples: Path) -> None:
    transcript = engine.transcribe(samples / "en.ogg", TranscribeOptions(language="en", words=False))
    assert transcript.text
    assert all(segment.words == () and segment.confidence for segment in transcript.segments)


def test_what_is_written_is_the_published_schema(engine: Engine, samples: Path, swedish: Transcript) -> None:
    estimated = engine.transcribe(samples / "en.ogg", TranscribeOptions(words=False, clip=(1.0, 9.0)))
    for transcript in (swedish, estimated):
        assert faults_in(transcript.to_json(), fields_known=True) == []


def test_progress_grows_to_the_whole_recording(engine: Engine, samples: Path) -> None:
    seen: list[Progress] = []
    transcript = engine.transcribe(samples / "sv.ogg", SWEDISH, seen.append)
    done = [progress.done_s for progress in seen]
    assert len(done) > 1
    assert done == sorted(done)
    assert (seen[-1].done_s, seen[-1].total_s) == pytest.approx(
        (transcript.duration_s, transcript.duration_s), abs=0.001
    )


def test_silence_is_an_empty_transcript(engine: Engine, silent_wav: Path) -> None:
    transcript = engine.transcribe(silent_wav)
    assert transcript.segments == ()
    assert (transcript.language, transcript.speech_s, transcript.duration_s) == (None, 0, 5)


def test_what_is_left_of_a_cut_off_mp3_is_transcribed(engine: Engine, samples: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.mp3"
    with av.open(str(samples / "en.ogg")) as source, av.open(str(path), "w") as target:
        stream = target.add_stream("mp3", rate=48_000, layout="mono")
        for frame in source.decode(audio=0):
            frame.pts = None
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    os.truncate(path, path.stat().st_size // 2)
    transcript = engine.transcribe(path, TranscribeOptions(language="en"))
    assert "welcome to the meeting" in transcript.text
    assert any("cut short" in warning for warning in transcript.warnings)


def test_files_that_are_no_speech_are_told_apart(engine: Engine, tmp_path: Path) -> None:
    text, film = tmp_path / "notes.mp3", tmp_path / "film.mp4"
    text.write_text("no recording\n" * 200)
    with av.open(str(film), "w") as container:
        picture = container.add_stream("mpeg4", rate=10)
        picture.width = picture.height = 64
        container.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        container.mux(picture.encode(None))
    with pytest.raises(UnsupportedMedia):
        engine.transcribe(text)
    with pytest.raises(NoAudioStream):
        engine.transcribe(film)
    with pytest.raises(UnsupportedMedia):
        engine.transcribe(tmp_path / "gone.wav")


def test_a_recording_beyond_the_limit_is_refused(engine: Engine, samples: Path) -> None:
    with pytest.raises(TooLong):
        engine.transcribe(samples / "sv.ogg", TranscribeOptions(max_duration_s=3))


def test_a_file_beyond_the_limit_on_size_is_refused(engine: Engine, samples: Path) -> None:
    with pytest.raises(TooLarge, match="1,000"):
        engine.transcribe(samples / "sv.ogg", TranscribeOptions(max_size_bytes=1_000))


def test_a_prompt_too_long_for_the_model_is_refused(engine: Engine, samples: Path) -> None:
    with pytest.raises(BadOptions, match="tokens"):
        engine.transcribe(samples / "en.ogg", TranscribeOptions(prompt="word " * 300))


def test_hotwords_and_prompt_reach_the_model(engine: Engine, samples: Path) -> None:
    plain = engine.transcribe(samples / "en.ogg", TranscribeOptions(language="en"))
    prompted = engine.transcribe(
        samples / "en.ogg", TranscribeOptions(language="en", prompt="my name is ana", hotwords="Stokholm")
    )
    assert prompted.segments != plain.segments


def test_a_real_recording_is_heard_word_for_word(engine: Engine, corpus: Path) -> None:
    transcript = engine.transcribe(corpus / "en_jfk.flac")
    assert words_of(transcript.text) == words_of((corpus / "en_jfk.txt").read_text())


def test_a_worker_killed_in_the_middle_costs_one_file(engine: Engine, samples: Path) -> None:
    def kill(_: Progress) -> None:
        assert engine.worker_pid
        os.kill(engine.worker_pid, signal.SIGKILL)

    with pytest.raises(Crashed, match="SIGKILL"):
        engine.transcribe(samples / "sv.ogg", SWEDISH, kill)
    assert engine.transcribe(samples / "en.ogg").language == "en"


def test_a_worker_that_dies_idle_costs_no_file(engine: Engine, samples: Path) -> None:
    engine.start()
    assert engine.worker_pid
    worker = os.pidfd_open(engine.worker_pid)
    os.kill(engine.worker_pid, signal.SIGKILL)
    try:
        assert has_ended(worker)
    finally:
        os.close(worker)
    assert engine.transcribe(samples / "en.ogg").language == "en"


def test_a_cancelled_file_stops_and_the_model_stays_loaded(engine: Engine, samples: Path) -> None:
    engine.start()
    worker, cancel = engine.worker_pid, threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        engine.transcribe(samples / "sv.ogg", SWEDISH, cancel=cancel)
    assert engine.transcribe(samples / "en.ogg").language == "en"
    assert engine.worker_pid == worker


def test_a_worker_that_does_not_hear_the_cancel_is_killed_and_replaced(
    engine: Engine, samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "CANCEL_GRACE_S", 0.2)
    engine.start()
    worker, cancel = engine.worker_pid, threading.Event()
    assert worker

    def freeze(_: Progress) -> None:
        os.kill(worker, signal.SIGSTOP)
        cancel.set()

    with pytest.raises(Cancelled, match="killed"):
        engine.transcribe(samples / "sv.ogg", SWEDISH, freeze, cancel)
    assert not is_running(worker)
    assert engine.transcribe(samples / "en.ogg").language == "en"


def test_a_caller_that_gives_up_leaves_no_worker_behind(engine: Engine, samples: Path) -> None:
    def give_up(_: Progress) -> None:
        raise KeyboardInterrupt

    engine.start()
    worker = engine.worker_pid
    with pytest.raises(KeyboardInterrupt):
        engine.transcribe(samples / "sv.ogg", SWEDISH, give_up)
    assert worker
    assert not is_running(worker)


def test_a_model_or_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with Engine(EngineConfig(model="no-such-model")) as engine, pytest.raises(ModelUnavailable):
        engine.start()
    for name in ("config.json", "model.bin", "tokenizer.json"):
        (tmp_path / name).write_text("{}")
    with Engine(EngineConfig(model=str(tmp_path), device="cpu")) as engine:
        with pytest.raises(ModelUnavailable, match="could not be loaded"):
            engine.start()
        assert engine.worker_pid is None


PARENT = """
import sys
from avskrift.asr.engine import Engine, EngineConfig
engine = Engine(EngineConfig(model="base", device="cpu"))
engine.start()
heavy = {"numpy", "av", "ctranslate2", "faster_whisper", "onnxruntime", "tokenizers"} & set(sys.modules)
print(engine.worker_pid, sorted(heavy), flush=True)
sys.stdin.read()
"""


def test_the_worker_dies_with_a_parent_that_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        pid, heavy = parent.stdout.readline().strip().split(" ", 1)
        worker = os.pidfd_open(int(pid))
        assert heavy == "[]", "the parent imports nothing that a hostile file could crash"
        parent.kill()
    try:
        assert has_ended(worker)
    finally:
        os.close(worker)


def test_the_worker_knows_nothing_of_aws(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/")
    monkeypatch.setenv("AVSKRIFT_SECRET_ID", "webhooks")
    engine.close()
    engine.start()
    environment = Path(f"/proc/{engine.worker_pid}/environ").read_bytes().split(b"\0")
    assert not [entry for entry in environment if entry.startswith((b"AWS_", b"AVSKRIFT_"))]
    for name, value in ALLOCATOR_ENVIRONMENT.items():
        assert f"{name}={value}".encode() in environment


def test_the_environment_is_an_allow_list() -> None:
    environment = worker_environment(
        {"PATH": "/bin", "LC_ALL": "C", "OPENBLAS_CORETYPE": "Haswell", "GITHUB_TOKEN": "x", "AWS_PROFILE": "y"}
    )
    assert environment["PATH"] == "/bin"
    assert environment["LC_ALL"] == "C"
    assert environment["OPENBLAS_CORETYPE"] == "Haswell", "it decides the last bits of the features"
    assert not {"GITHUB_TOKEN", "AWS_PROFILE"} & set(environment)


def test_a_worker_outlives_the_thread_that_started_it(engine: Engine, samples: Path) -> None:
    engine.close()
    thread = threading.Thread(target=engine.start)
    thread.start()
    thread.join()
    worker = engine.worker_pid
    assert engine.transcribe(samples / "en.ogg").language == "en"
    assert engine.worker_pid == worker


def test_a_library_that_prints_cannot_corrupt_the_protocol() -> None:
    code = (
        "import os; from avskrift.asr.worker import Outbox; outbox = Outbox()\n"
        "os.write(1, b'native chatter'); print('python chatter'); outbox.send('ready')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == '{"event": "ready"}\n'
    assert "native chatter" in done.stderr


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def has_ended(pidfd: int) -> bool:
    """Wait for a process that is not our child."""
    ready, _, _ = select.select([pidfd], [], [], 30)
    return bool(ready)
