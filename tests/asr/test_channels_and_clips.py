"""A recording channel by channel, or only a part of it, on one clock. Doubles stand for the two networks only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from avskrift.asr.options import TranscribeOptions
from avskrift.audio import SAMPLE_RATE_HZ, Samples
from avskrift.errors import BadOptions, Cancelled
from avskrift.transcript import Segment, Transcript
from tests.asr.scripted_transcriber import (
    Bench,
    LoudnessNetwork,
    as_uninterrupted,
    loudness_instead_of_speech,
    make_bench,
    resumed_at,
    write_flac,
)

SPLIT = TranscribeOptions(language="sv", channels="split")


@pytest.fixture(autouse=True, scope="module")
def network() -> Iterator[LoudnessNetwork]:
    with loudness_instead_of_speech() as network:
        yield network


def turns(*bounds_s: tuple[float, float], length_s: float = 130) -> Samples:
    """Noise between these seconds, silence elsewhere."""
    sound = np.zeros(round(length_s * SAMPLE_RATE_HZ), np.float32)
    for start_s, end_s in bounds_s:
        start, end = round(start_s * SAMPLE_RATE_HZ), round(end_s * SAMPLE_RATE_HZ)
        sound[start:end] = np.random.default_rng(start).uniform(-0.2, 0.2, end - start)
    return sound


def whistle(length_s: int) -> Samples:
    """Too quiet for the network of these tests, and as loud as speech that is."""
    seconds = np.arange(length_s * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    return (0.009 * np.sign(np.sin(2 * np.pi * 440 * seconds))).astype(np.float32)


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two who take turns, and once talk at the same time; each turn fills more than half a chunk."""
    folder = tmp_path_factory.mktemp("call")
    left = turns((1, 20), (41, 60), (81, 100))
    right = turns((21, 40), (50, 69), (101, 120))
    return write_flac(folder / "call.flac", left, right)


@pytest.fixture
def bench(call: Path, tmp_path: Path) -> Bench:
    bench = make_bench(call, tmp_path)
    bench.options = SPLIT
    return bench


def starts_of(transcript: Transcript) -> list[float]:
    return [segment.start_s for segment in transcript.segments]


def said_by(transcript: Transcript, speaker: str) -> list[Segment]:
    return [segment for segment in transcript.segments if segment.speaker == speaker]


def test_each_channel_is_a_speaker_and_turns_come_in_order_of_time(bench: Bench) -> None:
    transcript = bench.transcribe()
    assert [(speaker.id, speaker.name) for speaker in transcript.speakers] == [
        ("channel-1", "Channel 1"),
        ("channel-2", "Channel 2"),
    ]
    assert starts_of(transcript) == sorted(starts_of(transcript))
    assert [round(segment.start_s / 20) for segment in said_by(transcript, "channel-1")] == [0, 2, 4]
    assert [round(segment.start_s / 20 - 0.5) for segment in said_by(transcript, "channel-2")] == [1, 2, 5]
    assert transcript.duration_s == 130


def test_progress_over_two_channels_is_that_of_one_recording(bench: Bench) -> None:
    bench.transcribe()
    done = [progress.done_s for progress in bench.seen]
    assert done == sorted(done)
    assert {progress.total_s for progress in bench.seen} == {130}
    assert done[-1] == 130
    assert any(0 < seconds < 65 for seconds in done), "the first channel is half of it"


@pytest.mark.parametrize("kept", [2, 3, 4])
def test_a_split_recording_is_resumed_within_its_channel(bench: Bench, kept: int) -> None:
    """Each channel gives a window of two chunks and one more."""
    whole = bench.transcribe()
    lines = bench.lines()
    assert len(lines) == 5
    bench.checkpoint.write_bytes(b"".join(lines[:kept]))
    resumed = bench.transcribe()
    assert resumed_at(resumed)
    assert as_uninterrupted(resumed) == whole
    assert len(bench.decoder.decoded) == 6 - [2, 3, 5][kept - 2]


def test_a_channel_on_which_nobody_speaks_is_no_speaker(tmp_path: Path) -> None:
    bench = make_bench(write_flac(tmp_path / "half.flac", turns(), turns((1, 20))), tmp_path)
    bench.options = SPLIT
    transcript = bench.transcribe()
    assert [speaker.id for speaker in transcript.speakers] == ["channel-2"]
    assert {segment.speaker for segment in transcript.segments} == {"channel-2"}


def test_one_channel_cannot_be_split(tmp_path: Path) -> None:
    bench = make_bench(write_flac(tmp_path / "mono.flac", turns((1, 20))), tmp_path)
    bench.options = SPLIT
    with pytest.raises(BadOptions, match="the recording has 1"):
        bench.transcribe()


def test_what_was_finished_before_a_cancel_is_a_transcript(bench: Bench) -> None:
    """Cancelled in the second channel, after its first window."""
    whole = bench.transcribe()

    def cancel_in_the_second_channel() -> None:
        if len(bench.decoder.decoded) == 5:
            bench.cancel.set()

    bench.checkpoint.unlink()
    bench.decoder.after_batch = cancel_in_the_second_channel
    with pytest.raises(Cancelled) as cancelled:
        bench.transcribe()
    partial = cancelled.value.partial
    assert partial
    assert said_by(partial, "channel-1") == said_by(whole, "channel-1")
    assert said_by(partial, "channel-2") == said_by(whole, "channel-2")[:2]
    assert partial.warnings[-1] == "It was cancelled: the text of channel 2 ends at 69.4 s."
    assert Transcript.from_dict(partial.to_dict()).text == partial.text


def test_cancelled_before_anything_was_finished_leaves_an_empty_transcript(bench: Bench) -> None:
    bench.cancel.set()
    with pytest.raises(Cancelled) as cancelled:
        bench.transcribe()
    partial = cancelled.value.partial
    assert partial
    assert partial.segments == ()
    assert partial.duration_s == 0
    assert partial.warnings == ("It was cancelled: the text of channel 1 ends at 0.0 s, and later channels have none.",)


def test_what_was_read_ahead_of_a_cancel_is_no_part_of_the_transcript(tmp_path: Path) -> None:
    """A whistle before the speech and one behind it, and speech that was read but has no text yet."""
    speech = [(at_s, at_s + 19) for at_s in range(20, 220, 20)]
    sound = turns(*speech, length_s=240) / 8
    for at_s in (5, 225):
        sound[at_s * SAMPLE_RATE_HZ : (at_s + 10) * SAMPLE_RATE_HZ] = whistle(10)
    bench = make_bench(write_flac(tmp_path / "long.flac", sound), tmp_path)
    whole = bench.transcribe()
    assert [round(start_s) for start_s, _ in whole.audit["loud_without_speech"]] == [5, 225]
    bench.checkpoint.unlink()
    bench.decoder.after_batch = bench.cancel.set
    with pytest.raises(Cancelled) as cancelled:
        bench.transcribe()
    partial = cancelled.value.partial
    assert partial
    assert partial.segments == whole.segments[: len(partial.segments)]
    assert 0 < len(partial.segments) < len(whole.segments)
    assert partial.duration_s == partial.audit["chunks"][-1]["end_s"] < 100
    assert [round(start_s) for start_s, _ in partial.audit["loud_without_speech"]] == [5]
    assert partial.warnings[-1] == f"It was cancelled: the text ends at {partial.duration_s:.1f} s."


def test_a_clip_is_told_on_the_clock_of_the_whole_recording(bench: Bench) -> None:
    bench.options = TranscribeOptions(language="sv", clip=(41.0, 75.0))
    transcript = bench.transcribe()
    assert starts_of(transcript)[0] == pytest.approx(41.1, abs=0.5)
    assert all(41 <= segment.start_s <= segment.end_s <= 75 for segment in transcript.segments)
    assert transcript.duration_s == 75
    assert transcript.engine["clip"] == [41.0, 75.0]
    assert bench.seen[-1].done_s == bench.seen[-1].total_s == 34


def test_a_clip_is_resumed(bench: Bench) -> None:
    bench.options = TranscribeOptions(language="sv", clip=(15.0, None))
    whole = bench.transcribe()
    bench.checkpoint.write_bytes(b"".join(bench.lines()[:2]))
    assert as_uninterrupted(bench.transcribe()) == whole


def test_without_speech_detection_all_of_it_is_decoded(bench: Bench, network: LoudnessNetwork) -> None:
    network.windows_heard = 0
    bench.options = TranscribeOptions(language="sv", vad="off")
    transcript = bench.transcribe()
    assert transcript.speech_s == transcript.duration_s == 130
    assert network.windows_heard == 0


def test_loud_sound_that_is_no_speech_is_listed(tmp_path: Path) -> None:
    """A whistle is loud, but the network hears only noise as speech here."""
    sound = turns((1, 20), length_s=60)
    sound[30 * SAMPLE_RATE_HZ : 40 * SAMPLE_RATE_HZ] = whistle(10)
    sound[1 * SAMPLE_RATE_HZ : 20 * SAMPLE_RATE_HZ] /= 8
    bench = make_bench(write_flac(tmp_path / "whistle.flac", sound), tmp_path)
    (listed,) = bench.transcribe().audit["loud_without_speech"]
    assert listed == pytest.approx([30, 40], abs=0.5)
