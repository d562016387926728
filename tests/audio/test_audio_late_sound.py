"""Sound that begins later than the picture keeps the time that a player shows for it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from avskrift.audio import SAMPLE_RATE_HZ, AudioFile, Samples
from avskrift.containers import player_start_s
from avskrift.gaps import MAX_JUMP_S, Gaps
from tests.audio.media_files import Picture, Sound, draw, tones

SECONDS = 5.0
CONTAINERS = [
    ("a.mp4", "aac", 48_000),
    ("slow.mp4", "aac", 8_000),
    ("a.mov", "pcm_s16le", 16_000),
    ("a.mkv", "pcm_s16le", 16_000),
    ("o.mkv", "libopus", 48_000),
    ("a.ts", "aac", 48_000),
]


def write_late(path: Path, codec: str, rate_hz: int, late_s: float, *, picture: bool, shift_s: float = 0.0) -> Path:
    """Five seconds of sound, beside a picture that begins with the file; all time stamps moved by the shift."""
    with av.open(str(path), "w", options={"output_ts_offset": str(shift_s)}) as file:
        stream: Any = file.add_stream(codec, rate=rate_hz, layout="mono")
        if picture:
            draw(file, Picture(frames=round((late_s + SECONDS) * 10)))
        fitting = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=rate_hz)
        wave = tones(Sound(codec, rate_hz, seconds=SECONDS))
        for start in range(0, wave.shape[1], rate_hz // 10):
            piece = np.ascontiguousarray(wave[:, start : start + rate_hz // 10])
            frame = av.AudioFrame.from_ndarray(piece, format="flt", layout="mono")
            frame.sample_rate, frame.pts = rate_hz, start + round(late_s * rate_hz)
            for fitted in fitting.resample(frame):
                file.mux(stream.encode(fitted))
        file.mux(stream.encode(None))
    return path


def begins_at_s(samples: Samples) -> float:
    return float(np.flatnonzero(np.abs(samples) > 0.1)[0]) / SAMPLE_RATE_HZ


def read(path: Path) -> tuple[AudioFile, Samples]:
    with AudioFile(path) as media:
        return media, np.concatenate(list(media.blocks()))


@pytest.mark.parametrize(("name", "codec", "rate_hz"), CONTAINERS)
def test_sound_that_begins_after_the_picture_keeps_its_time(
    tmp_path: Path, name: str, codec: str, rate_hz: int
) -> None:
    media, samples = read(write_late(tmp_path / name, codec, rate_hz, 5.0, picture=True))
    assert begins_at_s(samples) == pytest.approx(5.0, abs=0.03)
    assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(10.0, abs=0.15)
    assert media.info.duration_s == pytest.approx(10.0, abs=0.1)
    assert (media.warnings, media.gaps) == ([], []), "nothing is damaged"


@pytest.mark.parametrize(("name", "codec", "rate_hz"), CONTAINERS)
def test_where_nothing_begins_before_the_sound_a_player_begins_with_it(
    tmp_path: Path, name: str, codec: str, rate_hz: int
) -> None:
    media, samples = read(write_late(tmp_path / name, codec, rate_hz, 5.0, picture=False))
    assert begins_at_s(samples) == pytest.approx(0.0, abs=0.15), "the delay of the encoder at most"
    assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(SECONDS, abs=0.25)
    assert media.info.duration_s == pytest.approx(SECONDS, abs=0.15)
    assert media.warnings == []


@pytest.mark.parametrize("late_s", [0.0, 5.0])
def test_time_stamps_that_all_begin_later_move_nothing(tmp_path: Path, late_s: float) -> None:
    """Television begins at 1.4 s, or at any hour of the day."""
    path = write_late(tmp_path / "a.ts", "aac", 48_000, late_s, picture=True, shift_s=1.4)
    with av.open(str(path)) as file:
        assert (file.start_time or 0) / av.time_base == pytest.approx(1.4, abs=0.05)
    media, samples = read(path)
    assert begins_at_s(samples) == pytest.approx(late_s, abs=0.03)
    assert media.warnings == []


def test_a_clip_is_cut_by_the_clock_of_the_player(tmp_path: Path) -> None:
    path = write_late(tmp_path / "a.mp4", "aac", 48_000, 5.0, picture=True)
    with AudioFile(path, clip=(4.0, 7.0)) as media:
        samples = np.concatenate(list(media.blocks()))
    assert len(samples) == 3 * SAMPLE_RATE_HZ
    assert begins_at_s(samples) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize(("lead_s", "silence_s"), [(0.04, 0.0), (0.2, 0.2), (MAX_JUMP_S + 1, 0.0), (-1.0, 0.0)])
def test_a_lead_is_believed_within_limits(lead_s: float, silence_s: float) -> None:
    gaps = Gaps("mpegts", tick_s=0.001, promised_s=10_000.0, begins_s=100.0)
    gaps.arrived(SimpleNamespace(pts=round((100 + lead_s) * 1000), duration=20), position_s=0.0)
    assert gaps.place(0.0) == pytest.approx(silence_s)
    assert gaps.places == []


def test_damage_behind_a_lead_is_placed_behind_it() -> None:
    gaps = Gaps("mpegts", tick_s=0.001, promised_s=100.0, begins_s=0.0)
    gaps.arrived(SimpleNamespace(pts=5_000, duration=1_000), position_s=0.0)
    gaps.damaged(SimpleNamespace(duration=1_000), position_s=0.0)
    assert gaps.place(0.0) == pytest.approx(6.0)
    (place,) = gaps.places
    assert (place.start_s, place.end_s, place.missing_s) == (5.0, 6.0, 1.0)


def test_the_clock_of_another_programme_is_not_that_of_the_sound() -> None:
    """A transport stream may hold several; here the other began half an hour before, and each lasts ten minutes."""
    container = SimpleNamespace(start_time=0, duration=600 * av.time_base)
    stream = SimpleNamespace(start_time=1_800_000, duration=600_000, time_base=0.001)
    assert player_start_s(container, stream) == 1800.0
    container.duration = 2400 * av.time_base
    assert player_start_s(container, stream) == 0.0, "one programme, whose sound begins late"
