"""What is finished stays finished: the checkpoint file under cuts, damage and strangers. No model is needed here.

Real media, real turns and packing, real sharing out of chunks; doubles stand for the two networks only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avskrift.asr import transcriber
from avskrift.asr.options import TranscribeOptions
from avskrift.asr.vad import WINDOW_SAMPLES
from avskrift.audio import SAMPLE_RATE_HZ
from avskrift.errors import Cancelled, TooLarge
from avskrift.transcript import Transcript
from tests.asr.scripted_transcriber import (
    Bench,
    LoudnessNetwork,
    as_uninterrupted,
    ends_of,
    loudness_instead_of_speech,
    make_bench,
    resumed_at,
    write_flac,
)

FIRST_WINDOW, LATER_WINDOW = 2, 4


@pytest.fixture(autouse=True, scope="module")
def network() -> Iterator[LoudnessNetwork]:
    with loudness_instead_of_speech() as network:
        yield network


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifteen turns of noise, all of another length and so long that each fills a chunk; four minutes."""
    noise = np.random.default_rng(7).uniform(-0.2, 0.2, 18 * SAMPLE_RATE_HZ)
    parts: list[Any] = []
    for turn in range(15):
        parts += [noise[: (turn * 7 % 15) * 1_503 + 15 * SAMPLE_RATE_HZ], np.zeros(turn * 700 + 9_000)]
    return write_flac(tmp_path_factory.mktemp("sound") / "long.flac", np.concatenate(parts))


@pytest.fixture(scope="module")
def reference(
    network: LoudnessNetwork, recording: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Transcript, bytes]:
    """The uninterrupted transcript and its whole checkpoint: header, small window, three full ones, the last."""
    whole = make_bench(recording, tmp_path_factory.mktemp("reference"))
    transcript = whole.transcribe()
    assert [len(ends_of(line)) for line in whole.lines()[1:]] == [
        FIRST_WINDOW,
        LATER_WINDOW,
        LATER_WINDOW,
        LATER_WINDOW,
        1,
    ]
    return transcript, whole.checkpoint.read_bytes()


@pytest.fixture
def bench(recording: Path, reference: tuple[Transcript, bytes], tmp_path: Path) -> Bench:
    """With a checkpoint of the whole recording."""
    bench = make_bench(recording, tmp_path)
    bench.checkpoint.write_bytes(reference[1])
    return bench


def test_cut_behind_any_window_the_rest_gives_the_same_transcript(
    bench: Bench, reference: tuple[Transcript, bytes], network: LoudnessNetwork
) -> None:
    whole, content = reference
    lines = content.splitlines(keepends=True)
    for kept in range(2, len(lines) + 1):
        network.windows_heard = 0
        bench.checkpoint.write_bytes(b"".join(lines[:kept]))
        resumed = bench.transcribe()
        assert as_uninterrupted(resumed) == whole
        assert resumed_at(resumed) == pytest.approx(max(ends_of(lines[kept - 1])), abs=0.001)
        assert sorted(bench.decoder.decoded) == [end for line in lines[kept:] for end in ends_of(line)]
        speech = json.loads(lines[kept - 1])["resume"]["speech"]
        not_heard = whole.duration_s * SAMPLE_RATE_HZ - speech["turns"]["position"] if speech else 0
        assert network.windows_heard == math.ceil(not_heard / WINDOW_SAMPLES)
        assert bench.checkpoint.read_bytes() == content, "what follows is written as if nothing had happened"
    assert bench.decoder.languages_detected == 0


def test_progress_goes_on_where_the_checkpoint_ended(bench: Bench) -> None:
    bench.checkpoint.write_bytes(b"".join(bench.lines()[:3]))
    resumed = bench.transcribe()
    done = [progress.done_s for progress in bench.seen]
    assert done[0] == pytest.approx(resumed_at(resumed), abs=0.001)
    assert done == sorted(done)
    assert all(progress.done_s <= progress.total_s for progress in bench.seen)
    assert bench.seen[-1].done_s == resumed.duration_s


def test_a_recording_that_is_finished_is_not_decoded_again(bench: Bench, reference: tuple[Transcript, bytes]) -> None:
    assert as_uninterrupted(bench.transcribe()) == reference[0]
    assert bench.decoder.decoded == []


def test_cancelled_while_it_reads_it_keeps_the_window_it_was_decoding(
    bench: Bench, reference: tuple[Transcript, bytes]
) -> None:
    bench.checkpoint.unlink()

    def cancel_after_the_first_window() -> None:
        if len(bench.decoder.decoded) >= FIRST_WINDOW:
            bench.cancel.set()

    bench.decoder.after_batch = cancel_after_the_first_window
    with pytest.raises(Cancelled):
        bench.transcribe()
    assert bench.lines() == reference[1].splitlines(keepends=True)[:2]
    bench.decoder.after_batch = lambda: None
    bench.cancel.clear()
    assert as_uninterrupted(bench.transcribe()) == reference[0]


def test_a_decoder_that_fails_leaves_the_windows_before(bench: Bench, reference: tuple[Transcript, bytes]) -> None:
    bench.checkpoint.unlink()

    def fail_in_the_third_window() -> None:
        if len(bench.decoder.decoded) > FIRST_WINDOW + LATER_WINDOW:
            raise RuntimeError("out of memory")

    bench.decoder.after_batch = fail_in_the_third_window
    with pytest.raises(RuntimeError):
        bench.transcribe()
    assert bench.lines() == reference[1].splitlines(keepends=True)[:3]


def test_another_plan_goes_on_with_the_same_chunks(bench: Bench) -> None:
    """On a machine with more cores batches are others, and so may be the last bits; nothing is lost or twice."""
    lines = bench.lines()
    bench.checkpoint.write_bytes(b"".join(lines[:2]))
    bench.decoder.plan = replace(bench.decoder.plan, workers=1, batch=1)
    bench.transcribe()
    spans = [chunk["spans"] for line in lines[1:] for chunk in json.loads(line)["chunks"]]
    assert [chunk["spans"] for line in bench.lines()[1:] for chunk in json.loads(line)["chunks"]] == spans


def test_limits_do_not_matter_for_a_checkpoint_to_fit(bench: Bench) -> None:
    bench.options = TranscribeOptions(max_duration_s=3_600, max_size_bytes=1 << 30)
    assert resumed_at(bench.transcribe())


def test_silence_leaves_no_checkpoint(silent_wav: Path, tmp_path: Path) -> None:
    bench = make_bench(silent_wav, tmp_path)
    assert bench.transcribe().segments == ()
    assert not bench.checkpoint.exists()


@pytest.mark.parametrize(
    "options",
    [
        TranscribeOptions(language="en"),
        TranscribeOptions(words=False),
        TranscribeOptions(task="translate"),
        TranscribeOptions(beam_size=2),
        TranscribeOptions(prompt="names"),
        TranscribeOptions(hotwords="names"),
    ],
    ids=["language", "words", "task", "beam_size", "prompt", "hotwords"],
)
def test_other_options_start_over(bench: Bench, options: TranscribeOptions) -> None:
    bench.options = options
    assert resumed_at(bench.transcribe()) is None
    assert resumed_at(bench.transcribe()) is not None, "the file is theirs now"


def test_other_weights_of_the_same_name_start_over(bench: Bench) -> None:
    bench.weights.write_bytes(b"WEIGHTS")
    assert resumed_at(bench.transcribe()) is None


def test_another_recording_of_the_same_size_starts_over(bench: Bench, tmp_path: Path) -> None:
    content = bytearray(bench.recording.read_bytes())
    content[-1] ^= 1
    bench.recording = tmp_path / "other.flac"
    bench.recording.write_bytes(content)
    assert resumed_at(bench.transcribe()) is None


def test_a_recording_edited_in_its_middle_starts_over(bench: Bench, tmp_path: Path) -> None:
    """Of the same size, and the same at both ends."""
    content = bench.recording.read_bytes()
    middle, reach = len(content) // 2, 1 << 20
    assert reach < middle - 9_000
    bench.recording = tmp_path / "edited.flac"
    bench.recording.write_bytes(content[:middle] + bytes(9_000) + content[middle + 9_000 :])
    assert resumed_at(bench.transcribe()) is None


def test_a_recording_that_is_too_large_is_not_read_to_tell_it_from_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    monkeypatch.setattr(transcriber, "recording_identity", read.append)
    bench.options = TranscribeOptions(max_size_bytes=1_000)
    with pytest.raises(TooLarge):
        bench.transcribe()
    assert read == []


def test_another_precision_starts_over(bench: Bench) -> None:
    bench.decoder.plan = bench.decoder.arranged = replace(bench.decoder.plan, compute_type="float32")
    transcript = bench.transcribe()
    assert resumed_at(transcript) is None
    assert transcript.engine["compute_type"] == "float32"
    assert resumed_at(bench.transcribe()) is not None, "the file is its own now"


def test_what_was_made_on_other_machines_is_told(
    bench: Bench, reference: tuple[Transcript, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begun here, gone on with on a GPU, finished on another CPU, and asked for again there."""
    here = {"device": "cpu", "isa": reference[0].engine["isa"]}
    assert "resumed_from" not in bench.transcribe().engine, "all of it was made here"
    bench.checkpoint.write_bytes(b"".join(bench.lines()[:2]))
    cpu = bench.decoder.plan

    def go_on(device: str, lines: int) -> list[dict[str, Any]]:
        bench.decoder.plan = bench.decoder.arranged = replace(cpu, device=device)
        resumed_from: list[dict[str, Any]] = bench.transcribe().engine["resumed_from"]
        bench.checkpoint.write_bytes(b"".join(bench.lines()[:lines]))
        return resumed_from

    assert go_on("cuda", lines=3) == [here]
    monkeypatch.setattr(transcriber, "instruction_set", lambda: "AVX")
    assert go_on("cpu", lines=9) == [here, {"device": "cuda", "isa": None}]
    assert go_on("cpu", lines=9) == [here, {"device": "cuda", "isa": None}]


def test_a_damaged_recording_keeps_its_warnings_and_its_clock(recording: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.flac"
    content = bytearray(recording.read_bytes()[: recording.stat().st_size * 3 // 4])
    content[len(content) // 10 : len(content) // 10 + 9_000] = bytes(9_000)
    damaged.write_bytes(content)
    bench = make_bench(damaged, tmp_path)
    whole = bench.transcribe()
    assert {warning.split()[-1] for warning in whole.warnings} == {"damaged.", "there."}
    bench.checkpoint.write_bytes(b"".join(bench.lines()[:2]))
    resumed = bench.transcribe()
    assert resumed_at(resumed)
    assert as_uninterrupted(resumed) == whole


FOREIGN: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "empty": lambda lines: [],
    "garbage": lambda lines: [bytes(range(256)) * 400],
    "no end of line": lambda lines: [b"{" * 5_000],
    "a header only": lambda lines: lines[:1],
    "a torn header": lambda lines: [lines[0][:-1]],
    "no header": lambda lines: lines[1:],
    "a line of many megabytes": lambda lines: [lines[0].rstrip() + b" " * (5 << 20) + b"\n", *lines[1:]],
    "nested too deep": lambda lines: [b"[" * 200_000 + b"\n", *lines[1:]],
    "a number too long": lambda lines: [b"9" * 20_000 + b"\n", *lines[1:]],
    "another version": lambda lines: [lines[0].replace(b'"version":3', b'"version":4'), *lines[1:]],
    "other libraries": lambda lines: [lines[0].replace(b'"numpy":"', b'"numpy":"0.'), *lines[1:]],
    "an unknown language": lambda lines: [lines[0].replace(b'"sv"', b'"xx"'), *lines[1:]],
    "its first window torn": lambda lines: [lines[0], lines[1][:2_000]],
    "a list for a window": lambda lines: [lines[0], b"[]\n", *lines[1:]],
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_that_is_no_checkpoint_of_this_is_started_over(
    bench: Bench, reference: tuple[Transcript, bytes], name: str
) -> None:
    bench.checkpoint.write_bytes(b"".join(FOREIGN[name](bench.lines())))
    assert bench.transcribe() == reference[0]
    assert bench.checkpoint.read_bytes() == reference[1]


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    def edit(line: bytes) -> bytes:
        window = json.loads(line)
        change(window)
        return json.dumps(window).encode() + b"\n"

    return edit


def first_span(window: dict[str, Any]) -> list[Any]:
    span: list[Any] = window["chunks"][0]["spans"][0]
    return span


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "torn": lambda line: line[: len(line) // 2],
    "without its end of line": lambda line: line[:-1],
    "zeros, as after a power cut": lambda line: bytes(len(line)),
    "no chunks": edited(lambda window: window["chunks"].clear()),
    "no resume point": edited(lambda window: window.pop("resume")),
    "a chunk before the last one": edited(lambda window: first_span(window).__setitem__(0, 0)),
    "a chunk twice": edited(lambda window: window["chunks"].insert(0, window["chunks"][0])),
    "a span of years": edited(lambda window: first_span(window).__setitem__(1, 2**62)),
    "a span of fractions": edited(lambda window: first_span(window).__setitem__(1, 7e5)),
    "a span of three": edited(lambda window: first_span(window).append(1)),
    "a word without times": edited(lambda window: window["chunks"][0]["words"][0].pop()),
    "a word at infinity": edited(lambda window: window["chunks"][0]["words"][0].__setitem__(1, float("inf"))),
    "a probability of nothing": edited(lambda window: window["chunks"][0]["words"][0].__setitem__(3, float("nan"))),
    "a network state cut short": edited(lambda window: window["resume"]["speech"].update(hidden="AAAA")),
    "a network state of text": edited(lambda window: window["resume"]["speech"].update(cell="å" * 684)),
    "a network state of NaN": edited(lambda window: window["resume"]["speech"].update(cell="AADAfw==" * 128)),
    "heard before its own position": edited(lambda window: window["resume"]["speech"].update(heard=512)),
    "a turn since the start": edited(lambda window: window["resume"]["speech"]["turns"].update(open_from=0)),
    "a turn in the future": edited(lambda window: window["resume"]["speech"]["turns"].update(closed=[[2**39, 2**40]])),
    "made by nobody": edited(lambda window: window.pop("made_by")),
    "made by a device that there is not": edited(lambda window: window["made_by"].update(device="abacus")),
    "made with instructions of a book": edited(lambda window: window["made_by"].update(isa="AVX" * 100_000)),
    "too much waiting": edited(lambda window: window["resume"].update(waiting=[[]] * 100_000)),
    "an open chunk too long": edited(lambda window: window["resume"].update(open=[[2**30, 2**30 + 480_001]])),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_line_ends_what_counts(bench: Bench, reference: tuple[Transcript, bytes], name: str) -> None:
    header, first, second, *later = bench.lines()
    bench.checkpoint.write_bytes(b"".join([header, first, DAMAGE[name](second), *later]))
    resumed = bench.transcribe()
    assert resumed_at(resumed) == pytest.approx(max(ends_of(first)), abs=0.001)
    assert as_uninterrupted(resumed) == reference[0]
    assert bench.checkpoint.read_bytes() == reference[1], "the damage is cut off"


def later_than_the_recording(window: dict[str, Any]) -> None:
    """All in order, and all false."""
    speech = window["resume"]["speech"]
    speech["heard"] = 512 * 10**8
    speech["turns"] = {**speech["turns"], "position": 512 * 10**8, "closed": [], "open_from": None}


@pytest.mark.parametrize(
    "change",
    [
        later_than_the_recording,
        lambda window: window["resume"].update(open=[[2**39, 2**39 + 480_000]], speech=None),
        lambda window: window["resume"]["speech"].update(heard=window["resume"]["speech"]["heard"] + 1),
    ],
    ids=["further than it lasts", "speech behind its end", "between two blocks"],
)
def test_a_point_that_the_recording_does_not_have_starts_over(
    bench: Bench, reference: tuple[Transcript, bytes], change: Callable[[dict[str, Any]], None]
) -> None:
    header, first, second, *_ = bench.lines()
    bench.checkpoint.write_bytes(b"".join([header, first, edited(change)(second)]))
    assert bench.transcribe() == reference[0]
    assert bench.checkpoint.read_bytes() == reference[1]


def test_a_file_of_many_gigabytes_is_not_read(bench: Bench, reference: tuple[Transcript, bytes]) -> None:
    with bench.checkpoint.open("r+b") as file:
        file.truncate(1 << 34)  # sparse
    assert bench.transcribe() == reference[0]
    assert bench.checkpoint.read_bytes() == reference[1]


@pytest.mark.parametrize("kind", ["in a folder that is not there", "a folder", "a device that is full"])
def test_a_checkpoint_that_cannot_be_kept_costs_a_warning(
    bench: Bench, reference: tuple[Transcript, bytes], kind: str, tmp_path: Path
) -> None:
    bench.checkpoint = {
        "in a folder that is not there": tmp_path / "absent" / "checkpoint.jsonl",
        "a folder": tmp_path,
        "a device that is full": Path("/dev/full"),
    }[kind]
    transcript = bench.transcribe()
    assert [warning for warning in transcript.warnings if "checkpoint could not be kept" in warning]
    assert replace(transcript, warnings=()) == reference[0]


def test_after_a_line_that_could_not_be_kept_none_follows(bench: Bench) -> None:
    """A window missing in the middle would be missing in the transcript."""
    bench.checkpoint.unlink()

    def take_the_file_away_once() -> None:
        if len(bench.decoder.decoded) > FIRST_WINDOW and bench.checkpoint.is_file():
            bench.checkpoint.unlink()

    bench.decoder.after_batch = take_the_file_away_once
    assert len([warning for warning in bench.transcribe().warnings if "checkpoint" in warning]) == 1
    assert not bench.checkpoint.exists()
