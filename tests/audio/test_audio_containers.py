"""Every container and codec that the encoders at hand can make: its length, its sound, and which track of it."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import av
import numpy as np
import pytest

from avskrift.audio import BLOCK_S, SAMPLE_RATE_HZ, AudioFile, load, probe
from tests.audio.media_files import CHANNEL_STEP_HZ, TONE_HZ, Picture, Sound, encode, loudest_hz, purity

EXPERIMENTAL = {"strict": "experimental"}
#: Those that people send; without an encoder for one of them, its tests would be skipped and prove nothing.
COMMON = ["mp3", "aac", "libopus", "vorbis", "flac", "alac", "pcm_s16le", "pcm_s24le", "pcm_f32le", "pcm_alaw"]

WAV = ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le"]
CASES = [
    *((f"{codec}.wav", Sound(codec, rate, layout)) for codec, rate, layout in product(WAV, [8_000, 96_000], ["mono"])),
    *((f"{codec}.wav", Sound(codec, 44_100, layout)) for codec, layout in product(WAV, ["stereo", "5.1"])),
    ("telephone.wav", Sound("pcm_alaw", 8_000)),
    ("telephone.au", Sound("pcm_mulaw", 8_000)),
    ("dictation.wav", Sound("adpcm_ima_wav", 22_050)),
    ("dictation-ms.wav", Sound("adpcm_ms", 22_050)),
    ("switchboard.wav", Sound("g722", 16_000)),
    ("switchboard.gsm.wav", Sound("gsm_ms", 8_000)),
    ("old.spx", Sound("libspeex", 16_000)),
    ("studio.aiff", Sound("pcm_s24be", 96_000, "stereo")),
    ("studio.caf", Sound("alac", 48_000, "stereo")),
    ("studio.w64", Sound("pcm_s64le", 48_000)),
    *((f"{rate}.mp3", Sound("mp3", rate)) for rate in (8_000, 11_025, 16_000, 22_050, 32_000, 48_000)),
    ("stereo.mp3", Sound("mp3", 44_100, "stereo")),
    ("variable.mp3", Sound("mp3", 44_100, "stereo", options={"q": "6"})),
    ("average.mp3", Sound("mp3", 44_100, options={"abr": "1", "b": "64k"})),
    ("without-index.mp3", Sound("mp3", 44_100, seconds=20, options={"q": "6"})),
    ("old.mp2", Sound("mp2", 48_000, "stereo")),
    *((f"{rate}.m4a", Sound("aac", rate)) for rate in (8_000, 16_000, 44_100, 96_000)),
    ("stereo.m4a", Sound("aac", 48_000, "stereo")),
    ("surround.m4a", Sound("aac", 48_000, "5.1")),
    ("lossless.m4a", Sound("alac", 44_100, "stereo")),
    ("stream.aac", Sound("aac", 44_100, "stereo")),
    *((f"{rate}.ogg", Sound("libopus", rate)) for rate in (8_000, 16_000, 48_000)),
    ("stereo.opus", Sound("libopus", 48_000, "stereo")),
    ("surround.opus", Sound("libopus", 48_000, "5.1", options={"mapping_family": "1"})),
    ("constant.ogg", Sound("libopus", options={"vbr": "off"})),
    ("vorbis.ogg", Sound("vorbis", 44_100, "stereo", options=EXPERIMENTAL)),
    ("flac.oga", Sound("flac", 48_000)),
    *((f"{rate}.flac", Sound("flac", rate)) for rate in (8_000, 44_100, 96_000)),
    ("stereo.flac", Sound("flac", 48_000, "stereo")),
    ("surround.flac", Sound("flac", 96_000, "5.1")),
    ("opus.webm", Sound("libopus", 48_000, "stereo")),
    ("vorbis.webm", Sound("vorbis", 48_000, "stereo", options=EXPERIMENTAL)),
    ("aac.mp4", Sound("aac", 48_000, "stereo")),
    ("opus.mp4", Sound("libopus", 48_000)),
    ("mp3.mp4", Sound("mp3", 48_000)),
    ("pcm.mov", Sound("pcm_s16le", 48_000, "stereo")),
    ("aac.mov", Sound("aac", 44_100)),
    *((f"{codec}.mkv", Sound(codec, 48_000, "stereo")) for codec in ("aac", "flac", "libopus", "mp3", "pcm_s24le")),
    ("dvd.mkv", Sound("ac3", 48_000, "5.1")),
    ("dvd.ac3", Sound("ac3", 48_000, "5.1")),
    ("stream.eac3", Sound("eac3", 48_000, "5.1")),
    ("television.ts", Sound("aac", 48_000, "stereo")),
    ("camera.avi", Sound("mp3", 44_100, "stereo")),
    ("flash.flv", Sound("mp3", 44_100)),
    ("windows.wma", Sound("wmav2", 44_100, "stereo", options={"b": "128k"})),
    ("phone.amr", Sound("libopencore_amrnb", 8_000)),
    ("phone.3gp", Sound("libopencore_amrnb", 8_000)),
    ("archive.wv", Sound("wavpack", 44_100, "stereo")),
    ("archive.tta", Sound("tta", 44_100, "stereo")),
]
#: The fourth place of 5.1 holds no speech, and a mix leaves it out.
SUBWOOFER = 3
#: An encoder's own delay and its last, filled up frame.
PADDING_S = 0.1


def test_the_common_ones_are_not_skipped() -> None:
    for codec in COMMON:
        assert av.codec.Codec(codec, "w").is_encoder


@pytest.mark.parametrize(("name", "sound"), CASES)
def test_any_container_codec_rate_and_layout_becomes_16_khz_mono(tmp_path: Path, name: str, sound: Sound) -> None:
    path = encode(tmp_path / name, sound)
    with AudioFile(path) as media:
        samples = np.concatenate(list(media.blocks()))
    assert media.warnings == []
    assert samples.dtype == np.float32
    assert np.abs(samples).max() <= 1.0
    assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(sound.seconds, abs=PADDING_S)
    assert media.duration_s == len(samples) / SAMPLE_RATE_HZ
    assert media.info.duration_s == pytest.approx(sound.seconds, abs=PADDING_S)
    places = media.info.channels
    tones = [TONE_HZ + channel * CHANNEL_STEP_HZ for channel in range(places)]
    assert places == av.AudioLayout(sound.layout).nb_channels
    pure = 0.6 if sound.codec == "vorbis" else 0.98  # libav's own encoder is not a good one
    shares = [purity(samples, hz) for hz in tones]
    assert sum(shares) > pure, "the tones of all channels, and nothing else"
    assert all(share > 0.02 for place, share in enumerate(shares) if place != SUBWOOFER)
    for channel in {0, places - 1}:
        assert purity(load(path, channel=channel), tones[channel]) > pure


def test_a_variable_bit_rate_without_an_index_keeps_its_length(tmp_path: Path) -> None:
    """Without Xing's header a duration is guessed from the first frames: here far too long."""
    path = encode(tmp_path / "guess.mp3", Sound("mp3", 44_100, seconds=20, changes_at_s=1.0, options={"q": "6"}))
    data = path.read_bytes()
    index = max(data.find(b"Xing"), data.find(b"Info"))
    assert index > 0
    path.write_bytes(data[:index] + b"\0\0\0\0" + data[index + 4 :])
    samples = load(path)
    assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(20, abs=PADDING_S)


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "film.mov", "film.avi", "film.ts"])
def test_the_sound_of_a_video_is_read(tmp_path: Path, name: str) -> None:
    sound = Sound("mp3" if name.endswith("avi") else "aac")
    path = encode(tmp_path / name, sound, picture=Picture())
    assert probe(path).has_video
    samples = load(path)
    assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(3, abs=PADDING_S)
    assert loudest_hz(samples) == pytest.approx(TONE_HZ, abs=3)


@pytest.mark.parametrize(("name", "codec"), [("cover.m4a", "aac"), ("cover.mp3", "mp3"), ("cover.flac", "flac")])
def test_a_cover_picture_is_no_video(tmp_path: Path, name: str, codec: str) -> None:
    container = "mp4" if name.endswith("m4a") else None
    cover = Picture("mjpeg", "yuvj420p", frames=1, rate_hz=1, is_cover=True)
    path = encode(tmp_path / name, Sound(codec), container=container, picture=cover)
    with av.open(str(path)) as file:
        assert len(file.streams.video) == 1, "the picture is there"
    with AudioFile(path) as media:
        samples = np.concatenate(list(media.blocks()))
    assert not media.info.has_video
    assert media.warnings == []
    assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(3, abs=PADDING_S)
    assert loudest_hz(samples) == pytest.approx(TONE_HZ, abs=3)


@pytest.mark.parametrize("name", ["tracks.mkv", "tracks.mp4", "tracks.mov", "tracks.ts"])
def test_of_several_tracks_the_default_one_is_taken_and_named(tmp_path: Path, name: str) -> None:
    english = Sound("aac", tone_hz=300.0, language="eng")
    swedish = Sound("aac", tone_hz=1_200.0, language="swe", is_default=True)
    path = encode(tmp_path / name, english, swedish, Sound("aac", tone_hz=2_000.0))
    with AudioFile(path) as media:
        samples = np.concatenate(list(media.blocks()))
    assert media.info.audio_streams == 3
    (warning,) = media.warnings
    told = re.fullmatch(r"The file has 3 audio tracks; number (\d)( \((\w+)\))? was transcribed\.", warning)
    assert told
    assert loudest_hz(samples) == pytest.approx([300.0, 1_200.0, 2_000.0][int(told[1]) - 1], abs=3)
    if not name.endswith("ts"):  # which knows no default
        assert told[1] == "2"
    if name.endswith(("mkv", "mp4")):  # and MOV no Swedish
        assert told[3] == "swe"


def test_a_long_recording_comes_in_bounded_blocks(tmp_path: Path) -> None:
    path = encode(tmp_path / "long.mp3", Sound("mp3", 16_000, seconds=65))
    with AudioFile(path) as media:
        lengths_s = [len(block) / SAMPLE_RATE_HZ for block in media.blocks()]
    assert sum(lengths_s) == pytest.approx(65, abs=PADDING_S)
    assert max(lengths_s) < BLOCK_S + 1
