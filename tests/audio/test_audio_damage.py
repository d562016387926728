"""What damage leaves is read, what it took is reported with its place, and everything behind it keeps its time."""

from __future__ import annotations

import struct
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import av
import numpy as np
import pytest

from avskrift.audio import SAMPLE_RATE_HZ, AudioFile, Samples, load
from avskrift.errors import TooLong
from avskrift.gaps import MAX_SILENCE_S, MAX_UNPROMISED_JUMP_S, Gaps, Place, gap_warnings
from tests.audio.media_files import Sound, changes_at_s, encode

SECONDS, CHANGE_S = 30.0, 20.0


class Reading(NamedTuple):
    samples: Samples
    warnings: list[str]
    gaps: list[Place]


def read(path: Path, **options: float) -> Reading:
    with AudioFile(path, **options) as media:
        return Reading(np.concatenate(list(media.blocks())), media.warnings, media.gaps)


@cache
def encoded(name: str, codec: str, rate_hz: int) -> bytes:
    """Half a minute whose tone changes, made once."""
    layout, options = ("stereo", {"strict": "experimental"}) if codec == "vorbis" else ("mono", {})
    options |= {"q": "4"} if name == "vbr.mp3" else {}
    sound = Sound(codec, rate_hz, layout, SECONDS, changes_at_s=CHANGE_S, options=options)
    with TemporaryDirectory() as folder:
        return encode(Path(folder) / name, sound).read_bytes()


def write(folder: Path, *made: Any) -> Path:
    path = folder / made[0]
    path.write_bytes(encoded(*made))
    return path


def damage(path: Path, how: str) -> None:
    """A tenth of the file from its first third on."""
    data = bytearray(path.read_bytes())
    start, length = len(data) // 3, len(data) // 10
    if how == "noise":
        data[start : start + length] = np.random.default_rng(3).bytes(length)
    if how == "zeros":
        data[start : start + length] = bytes(length)
    if how == "cut out":
        del data[start : start + length]
    path.write_bytes(data)


WITH_TIMES = [
    ("a.ogg", "libopus", 48_000),
    ("v.ogg", "vorbis", 16_000),
    ("f.oga", "flac", 16_000),
    ("a.webm", "libopus", 48_000),
    ("a.mkv", "aac", 16_000),
    ("a.flac", "flac", 16_000),
    ("a.ts", "aac", 16_000),
    ("a.flv", "mp3", 44_100),
]
WITH_INDEX = [("a.m4a", "aac", 44_100), ("a.mov", "alac", 16_000), ("a.caf", "alac", 44_100)]
WITHOUT_TIMES = [("a.mp3", "mp3", 16_000), ("vbr.mp3", "mp3", 44_100), ("a.ac3", "ac3", 48_000)]


@pytest.mark.parametrize(
    ("name", "codec", "rate_hz", "how"),
    [
        *((*made, how) for made in WITH_TIMES for how in ("noise", "zeros", "cut out")),
        *((*made, how) for made in WITH_INDEX + WITHOUT_TIMES for how in ("noise", "zeros")),
    ],
)
def test_damage_in_the_middle_is_silent_reported_and_moves_nothing(
    tmp_path: Path, name: str, codec: str, rate_hz: int, how: str
) -> None:
    path = write(tmp_path, name, codec, rate_hz)
    damage(path, how)
    reading = read(path)
    assert len(reading.samples) / SAMPLE_RATE_HZ == pytest.approx(SECONDS, abs=0.1)
    assert changes_at_s(reading.samples) == pytest.approx(CHANGE_S, abs=0.11)
    (gap,) = reading.gaps
    assert 9 < gap.start_s < 11
    assert 12.5 < gap.end_s < 15.1
    assert 2.5 < gap.missing_s <= gap.end_s - gap.start_s + 1e-6
    (warning,) = reading.warnings
    assert f"{gap.start_s:.1f}–{gap.end_s:.1f} s" in warning
    assert f"{gap.missing_s:.2f} s are missing" in warning
    silence = reading.samples[round((gap.start_s + 0.5) * SAMPLE_RATE_HZ) : round((gap.end_s - 0.5) * SAMPLE_RATE_HZ)]
    assert np.sqrt(np.mean(silence**2)) < 0.1


@pytest.mark.parametrize(("name", "codec", "rate_hz"), WITH_TIMES + WITH_INDEX + WITHOUT_TIMES)
def test_a_sound_file_has_no_gaps(tmp_path: Path, name: str, codec: str, rate_hz: int) -> None:
    reading = read(write(tmp_path, name, codec, rate_hz))
    assert reading.gaps == []
    assert reading.warnings == []
    assert changes_at_s(reading.samples) == pytest.approx(CHANGE_S, abs=0.11)


@pytest.mark.parametrize("name", ["a.mp3", "a.m4a", "a.ogg", "a.webm", "a.mkv"])
def test_the_padding_behind_the_last_sound_is_no_damage(tmp_path: Path, name: str) -> None:
    codec = {"a.mp3": "mp3", "a.m4a": "aac", "a.mkv": "mp3"}.get(name, "libopus")
    for milliseconds in range(1_000, 1_060, 5):
        reading = read(encode(tmp_path / name, Sound(codec, seconds=milliseconds / 1000)))
        assert reading.warnings == []
        assert len(reading.samples) / SAMPLE_RATE_HZ == pytest.approx(milliseconds / 1000, abs=0.06)


@pytest.mark.parametrize(("name", "codec", "rate_hz"), [("a.wv", "wavpack", 16_000), ("a.avi", "mp3", 44_100)])
def test_where_the_place_cannot_be_known_the_loss_is_told(tmp_path: Path, name: str, codec: str, rate_hz: int) -> None:
    """WavPack finds no way back behind the damage; AVI does, but says not where it is."""
    path = write(tmp_path, name, codec, rate_hz)
    damage(path, "noise")
    reading = read(path)
    assert 9 < len(reading.samples) / SAMPLE_RATE_HZ < 28
    assert any("30.0 s, but only" in warning for warning in reading.warnings)


def test_gaps_outside_a_clip_are_not_reported(tmp_path: Path) -> None:
    path = write(tmp_path, "a.webm", "libopus", 48_000)
    damage(path, "zeros")
    with AudioFile(path, clip=(18, 28)) as media:
        clip = np.concatenate(list(media.blocks()))
    assert media.warnings == []
    assert changes_at_s(clip) == pytest.approx(CHANGE_S - 18, abs=0.11)
    with AudioFile(path, clip=(12, 28)) as media:
        list(media.blocks())
    assert len(media.warnings) == 1


def write_paused(path: Path, pauses_s: list[float], *, container: str, header: bool = True) -> Path:
    """Two seconds of sound before each pause and after the last, as a call is recorded whose sender is muted."""
    options = {} if header else {"live": "1"}
    with av.open(str(path), "w", format=container, options=options) as file:
        stream = file.add_stream("libopus", rate=48_000, layout="mono")
        encoder = stream.codec_context
        start, encoded = 0.0, []
        tone = (np.sin(2 * np.pi * 440 * np.arange(96_000) / 48_000) * 10_000).astype(np.int16).reshape(1, -1)
        for part, pause_s in enumerate([*pauses_s, 0.0]):
            for number, piece in enumerate(np.split(tone, 100, axis=1), 100 * part):
                frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="mono")
                frame.sample_rate, frame.pts = 48_000, number * 960
                encoded += [(start, packet) for packet in encoder.encode(frame)]
            start += pause_s
        encoded += [(start, packet) for packet in encoder.encode(None)]
        for shift_s, packet in encoded:
            shift = round(shift_s / Fraction(packet.time_base))
            packet.pts += shift
            packet.dts += shift
            packet.stream = stream
            file.mux(packet)
    return path


@pytest.mark.parametrize("header", [True, False])
def test_a_sender_that_paused_leaves_silence_of_that_length(tmp_path: Path, header: bool) -> None:
    path = write_paused(tmp_path / "call.webm", [0.4, 30.0], container="webm", header=header)
    reading = read(path)
    assert len(reading.samples) / SAMPLE_RATE_HZ == pytest.approx(36.4, abs=0.1)
    (gap,) = reading.gaps
    assert (gap.start_s, gap.end_s) == pytest.approx((4.4, 34.4), abs=0.1)
    assert gap.damaged_packets == 0, "and the short pause is no gap to a reader"


def test_a_time_stamp_far_beyond_all_sense_is_not_believed(tmp_path: Path) -> None:
    path = write_paused(tmp_path / "call.webm", [MAX_UNPROMISED_JUMP_S + 60], container="webm", header=False)
    assert len(read(path).samples) / SAMPLE_RATE_HZ == pytest.approx(4, abs=0.1)


def test_silence_for_a_pause_counts_towards_the_limit(tmp_path: Path) -> None:
    path = write_paused(tmp_path / "call.webm", [60.0], container="webm", header=False)
    assert len(read(path, max_duration_s=65).samples) / SAMPLE_RATE_HZ == pytest.approx(64, abs=0.1)
    with pytest.raises(TooLong):
        read(path, max_duration_s=30)


@pytest.mark.parametrize(("claimed_s", "is_told"), [(20, True), (3, False)])
def test_a_header_that_is_wrong_about_the_duration_changes_nothing_but_a_warning(
    tmp_path: Path, claimed_s: int, is_told: bool
) -> None:
    """FLAC's number of samples, 36 bits of STREAMINFO, is a claim only."""
    path = encode(tmp_path / "wrong.flac", Sound("flac", 16_000, seconds=10))
    data = bytearray(path.read_bytes())
    before = int.from_bytes(data[18:26], "big")
    data[18:26] = (before >> 36 << 36 | claimed_s * 16_000).to_bytes(8, "big")
    path.write_bytes(data)
    reading = read(path)
    assert len(reading.samples) == 10 * SAMPLE_RATE_HZ
    assert reading.warnings == (
        ["The file says it lasts 20.0 s, but only 10.0 s could be read: it looks cut short, or damaged."]
        if is_told
        else []
    )


def test_a_wav_that_was_never_finished_is_read_to_its_end(tmp_path: Path) -> None:
    """A recorder that lost its power leaves sizes of zero, or of 4 GB."""
    path = encode(tmp_path / "lost.wav", Sound("pcm_s16le", 16_000, seconds=5))
    data = path.read_bytes()
    sound = data.index(b"data") + 4
    for size in (0, 0xFFFFFFFF):
        path.write_bytes(data[:sound] + struct.pack("<I", size) + data[sound + 4 :])
        assert len(load(path)) / SAMPLE_RATE_HZ == pytest.approx(5, abs=0.01)


def test_pauses_that_together_are_beyond_all_sense_are_not_believed(tmp_path: Path) -> None:
    """A file of a few kB must not be days of silence, each pause of which could be true."""
    path = write_paused(tmp_path / "bomb.mkv", [3_500.0] * 4, container="matroska")
    with AudioFile(path) as media:
        read_s = sum(len(block) for block in media.blocks()) / SAMPLE_RATE_HZ
    assert read_s == pytest.approx(3_510, abs=0.2)
    assert [gap.missing_s for gap in media.gaps] == pytest.approx([3_500.0, 0, 0, 0], abs=0.1)
    assert media.gaps[1].start_s == pytest.approx(3_504, abs=0.2)
    assert "No sound could be read at 2.0–3502.0 s, 3504.0 s" in media.warnings[0]


class ClaimedPacket:
    """What :class:`Gaps` asks of a packet."""

    is_discard = False

    def __init__(self, pts: int | None, duration: int, size: int = 100, begins: bytes = b"") -> None:
        self.pts, self.duration, self.size, self.begins = pts, duration, size, begins

    def __bytes__(self) -> bytes:
        return self.begins.ljust(self.size, b"\0")


class Frame:
    samples, sample_rate = 1_000, 1_000


def test_time_stamps_that_go_to_and_fro_make_no_silence() -> None:
    gaps = Gaps("matroska,webm", tick_s=0.001, promised_s=100.0)
    for pts in (0, 1_000, 2_000, 50_000, 3_000, 4_000, 5_000, 50_500):
        gaps.arrived(ClaimedPacket(pts, 1_000), position_s=3.0)
    assert gaps.place(3.0) == 47.0, "the first jump is believed; what comes back to it is no second one"


def test_a_sender_who_says_little_is_believed_all_day() -> None:
    """Three minutes of every hour, for eight hours."""
    gaps = Gaps("matroska,webm", tick_s=0.001, promised_s=8 * 3_600.0)
    silence_s = 0.0
    for second in range(8 * 3_600):
        if second % 3_600 < 180:
            packet = ClaimedPacket(second * 1_000, 1_000)
            gaps.arrived(packet, position_s=second)
            gaps.decoded(packet, [Frame()])
            silence_s += gaps.place(second)
    assert silence_s == 7 * 3_420
    assert sum(place.damaged_packets for place in gaps.places) == 0


def test_damaged_packets_claim_no_more_than_pauses_may() -> None:
    gaps = Gaps("matroska,webm", tick_s=0.001, promised_s=1e6)
    silence_s = 0.0
    for _ in range(10_000):
        gaps.damaged(ClaimedPacket(None, 5_000), position_s=silence_s)
        silence_s += gaps.place(silence_s)
    assert silence_s == MAX_SILENCE_S
    assert sum(place.damaged_packets for place in gaps.places) == 10_000


def test_a_picture_between_two_recordings_is_no_gap() -> None:
    gaps = Gaps("mp3", tick_s=0.001, promised_s=100.0)
    gaps.decoded(ClaimedPacket(0, 1_000, size=10_000), [Frame()])
    gaps.damaged(ClaimedPacket(None, 26, size=300_000, begins=b"ID3\4"), position_s=1.0)
    assert gaps.place(1.0) == pytest.approx(0.026)
    gaps.damaged(ClaimedPacket(None, 26, size=300_000), position_s=1.0)
    assert gaps.place(1.0) == pytest.approx(30.0)


def test_thousands_of_gaps_are_told_in_one_sentence_and_bounded_memory() -> None:
    gaps = Gaps("mp3", tick_s=0.001, promised_s=None)
    for second in range(0, 20_000, 4):
        gaps.damaged(ClaimedPacket(None, 500), position_s=second)
        gaps.place(float(second))
    assert len(gaps.places) == 1_000
    (warning,) = gap_warnings(gaps.places)
    assert "0.0–0.5 s, 4.0–4.5 s" in warning
    assert "995 other places" in warning
    assert len(warning) < 300
