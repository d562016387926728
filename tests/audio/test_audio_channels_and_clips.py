"""One channel of a recording, or one stretch of it: exactly those samples, and a sentence where they do not exist."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import numpy as np
import pytest

from avskrift.audio import BLOCK_S, SAMPLE_RATE_HZ, AudioFile, load, probe
from avskrift.errors import BadOptions, TooLong
from tests.audio.media_files import CHANNEL_STEP_HZ, TONE_HZ, Sound, encode, loudest_hz, purity


@pytest.mark.parametrize(
    ("name", "sound"),
    [
        ("packed.wav", Sound("pcm_s16le", 8_000, "stereo")),
        ("packed.aiff", Sound("pcm_s24be", 44_100, "stereo")),
        ("packed-double.wav", Sound("pcm_f64le", 22_050, "stereo")),
        ("packed-long.w64", Sound("pcm_s64le", 48_000, "stereo")),
        ("as-it-is.wav", Sound("pcm_f32le", 16_000, "stereo")),
        ("planar.mp3", Sound("mp3", 44_100, "stereo")),
        ("planar.m4a", Sound("aac", 48_000, "stereo")),
        ("planar.wv", Sound("wavpack", 44_100, "stereo")),
        ("surround.flac", Sound("flac", 96_000, "5.1")),
        ("surround.wav", Sound("pcm_s24le", 48_000, "5.1")),
    ],
)
def test_each_channel_is_heard_alone(tmp_path: Path, name: str, sound: Sound) -> None:
    path = encode(tmp_path / name, sound)
    channels = probe(path).channels
    assert channels == (6 if sound.layout == "5.1" else 2)
    for channel in range(channels):
        samples = load(path, channel=channel)
        assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(sound.seconds, abs=0.05)
        assert purity(samples, TONE_HZ + channel * CHANNEL_STEP_HZ) > 0.99
        assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.1), "at its level in the file"


def test_the_only_channel_of_a_mono_recording_is_the_recording(tmp_path: Path) -> None:
    path = encode(tmp_path / "mono.flac", Sound("flac", 44_100))
    assert np.array_equal(load(path, channel=0), load(path))


@pytest.mark.parametrize("channel", [1, 7, -1])
def test_a_channel_that_is_not_there_is_refused(tmp_path: Path, channel: int) -> None:
    path = encode(tmp_path / "mono.mp3", Sound("mp3"))
    with pytest.raises(BadOptions, match=f"no channel {channel} .* has 1"):
        load(path, channel=channel)


def write_wav(path: Path, channels: int, level: float = 0.3) -> Path:
    """A tone of its own in each channel, without a word on where in the room each belongs."""
    at_s = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    hz = TONE_HZ + 100 * np.arange(channels)[:, None]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes((np.sin(2 * np.pi * hz * at_s) * level * 32_767).T.astype("<i2").tobytes())
    return path


@pytest.mark.parametrize("channels", [3, 9, 32, 64])
def test_recorders_of_many_channels_are_mixed_and_taken_apart(tmp_path: Path, channels: int) -> None:
    path = write_wav(tmp_path / "meeting.wav", channels)
    mix = load(path)
    assert len(mix) == SAMPLE_RATE_HZ
    assert np.abs(mix).max() > 0.03
    for channel in (0, channels - 1):
        assert purity(load(path, channel=channel), TONE_HZ + 100 * channel) > 0.99


@pytest.mark.parametrize("layout", ["stereo", "5.1"])
def test_a_loud_recording_is_not_clipped_when_it_is_mixed(tmp_path: Path, layout: str) -> None:
    """The same sound in all channels at full level is at full level in the mix, and a tone still."""
    at_s = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    channels = 2 if layout == "stereo" else 6
    with wave.open(str(tmp_path / "loud.wav"), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        loud = np.sin(2 * np.pi * TONE_HZ * at_s) * 32_000
        file.writeframes(np.repeat(loud[:, None], channels, axis=1).astype("<i2").tobytes())
    mix = load(tmp_path / "loud.wav")
    assert purity(mix, TONE_HZ) > 0.999
    assert 0.9 < np.abs(mix).max() <= 1.0


@pytest.mark.parametrize(("name", "codec"), [("long.wav", "pcm_s16le"), ("long.mp3", "mp3"), ("long.ogg", "libopus")])
@pytest.mark.parametrize("clip", [(0.0, 5.0), (12.5, 30.25), (33.3, None), (39.0, 60.0)])
def test_a_clip_is_the_same_samples_as_in_the_whole(
    tmp_path: Path, name: str, codec: str, clip: tuple[float, float | None]
) -> None:
    path = encode(tmp_path / name, Sound(codec, seconds=40))
    whole = load(path)
    start = round(clip[0] * SAMPLE_RATE_HZ)
    end = len(whole) if clip[1] is None else round(clip[1] * SAMPLE_RATE_HZ)
    with AudioFile(path, clip=clip) as media:
        blocks = list(media.blocks())
        assert media.clip_start_samples == start
        assert media.duration_s == pytest.approx(len(whole[start:end]) / SAMPLE_RATE_HZ)
        assert media.expected_duration_s == pytest.approx(media.duration_s, abs=0.1)
    assert np.array_equal(np.concatenate(blocks), whole[start:end])
    assert max(len(block) for block in blocks) < (BLOCK_S + 1) * SAMPLE_RATE_HZ


def test_what_lies_before_a_clip_comes_as_empty_blocks(tmp_path: Path) -> None:
    """So that a caller who cancels is heard before the clip begins."""
    path = encode(tmp_path / "long.wav", Sound("pcm_s16le", 16_000, seconds=45))
    with AudioFile(path, clip=(40, 44)) as media:
        lengths_s = [len(block) / SAMPLE_RATE_HZ for block in media.blocks()]
    assert lengths_s.count(0.0) >= 3
    assert sum(lengths_s) == 4


def test_nothing_is_read_behind_the_end_of_a_clip(tmp_path: Path) -> None:
    path = encode(tmp_path / "long.wav", Sound("pcm_s16le", 16_000, seconds=60))
    with AudioFile(path, clip=(1, 2)) as media, path.open("rb") as file:
        assert len(np.concatenate(list(media.blocks()))) == SAMPLE_RATE_HZ
        assert media._file.tell() < file.seek(0, 2) / 2
    assert media.warnings == []


def test_a_clip_behind_the_end_is_refused(tmp_path: Path) -> None:
    path = encode(tmp_path / "short.mp3", Sound("mp3"))
    with pytest.raises(BadOptions, match=r"begins at 10 s, but the recording ends after 3\.0 s"):
        load(path, clip=(10, 12))


def test_a_clip_that_reaches_over_the_end_is_cut_with_a_warning(tmp_path: Path) -> None:
    path = encode(tmp_path / "short.flac", Sound("flac"))
    with AudioFile(path, clip=(1, 12)) as media:
        assert sum(len(block) for block in media.blocks()) == 2 * SAMPLE_RATE_HZ
    assert any("was to end at 12.0 s" in warning for warning in media.warnings)


@pytest.mark.parametrize("clip", [(-1, 5), (5, 5), (6, 5), (float("nan"), 5), (float("inf"), None)])
def test_a_clip_that_cannot_be_is_refused(tmp_path: Path, clip: tuple[float, float | None]) -> None:
    with pytest.raises(BadOptions, match="A clip begins"):
        AudioFile(tmp_path / "any.mp3", clip=clip)


def test_the_limit_on_duration_holds_up_to_the_end_of_the_clip(tmp_path: Path) -> None:
    path = encode(tmp_path / "long.flac", Sound("flac", 16_000, seconds=60))
    assert len(load(path, max_duration_s=20, clip=(5, 20))) == 15 * SAMPLE_RATE_HZ
    with pytest.raises(TooLong):
        load(path, max_duration_s=20, clip=(5, 21))


def test_a_clip_of_one_channel_is_both(tmp_path: Path) -> None:
    path = encode(tmp_path / "call.wav", Sound("pcm_s16le", 8_000, "stereo", seconds=20))
    whole = load(path, channel=1)
    assert np.array_equal(load(path, channel=1, clip=(3, 9)), whole[3 * SAMPLE_RATE_HZ : 9 * SAMPLE_RATE_HZ])
    assert loudest_hz(whole) == pytest.approx(TONE_HZ + CHANNEL_STEP_HZ, abs=3)


def test_a_float_file_full_of_nonsense_is_finite_and_in_range(tmp_path: Path) -> None:
    wild = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 0.5, -0.5, 3.0] * 4_000, "<f4").tobytes()
    header = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 3, 1, SAMPLE_RATE_HZ, SAMPLE_RATE_HZ * 4, 4, 32)
    data = b"data" + struct.pack("<I", len(wild)) + wild
    path = tmp_path / "wild.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(header) + len(data)) + header + data)
    samples = load(path)
    assert len(samples) == 32_000
    assert np.isfinite(samples).all()
    assert list(samples[:8]) == [0.0, 1.0, -1.0, 1.0, -1.0, 0.5, -0.5, 1.0]
