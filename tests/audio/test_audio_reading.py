"""What becomes of files as people send them: every container the wheel can write, and those that are broken."""

from __future__ import annotations

import os
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest

from avskrift.audio import BLOCK_S, SAMPLE_RATE_HZ, AudioFile, load, probe
from avskrift.errors import NoAudioStream, TooLarge, TooLong, UnsupportedMedia
from avskrift.gaps import MAX_PACKET_S

TONE_HZ = 440.0
VIDEO_RATE = 10


@dataclass(frozen=True)
class Track:
    """A tone to encode."""

    codec: str
    rate_hz: int = 48_000
    layout: str = "stereo"
    seconds: float = 3.0
    tone_hz: float = TONE_HZ


def write_media(path: Path, *tracks: Track, video: bool = False) -> Path:
    with av.open(str(path), "w") as container:
        streams = [container.add_stream(track.codec, rate=track.rate_hz, layout=track.layout) for track in tracks]
        if video:
            picture = container.add_stream("mpeg4", rate=VIDEO_RATE)
            picture.width = picture.height = 64
            for number in range(2 * VIDEO_RATE):
                frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), number, dtype=np.uint8), format="rgb24")
                container.mux(picture.encode(frame))
            container.mux(picture.encode(None))
        for stream, track in zip(streams, tracks, strict=True):
            container.mux(stream.encode(tone(track)))
            container.mux(stream.encode(None))
    return path


def tone(track: Track) -> av.AudioFrame:
    seconds = np.arange(round(track.seconds * track.rate_hz)) / track.rate_hz
    mono = (np.sin(2 * np.pi * track.tone_hz * seconds) * 10_000).astype(np.int16)
    channels = av.AudioLayout(track.layout).nb_channels
    frame = av.AudioFrame.from_ndarray(np.repeat(mono, channels).reshape(1, -1), format="s16", layout=track.layout)
    frame.sample_rate = track.rate_hz
    return frame


def loudest_hz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples))
    return float(np.argmax(spectrum) * SAMPLE_RATE_HZ / len(samples))


@pytest.mark.parametrize(
    ("name", "track"),
    [
        ("8-bit.wav", Track("pcm_u8", 8_000, "mono")),
        ("telephone.wav", Track("pcm_alaw", 8_000, "mono")),
        ("16-bit.wav", Track("pcm_s16le", 44_100)),
        ("24-bit-surround.wav", Track("pcm_s24le", 96_000, "5.1")),
        ("float.wav", Track("pcm_f32le", 11_025)),
        ("voice.mp3", Track("mp3", 44_100)),
        ("voice.flac", Track("flac", 48_000)),
        ("voice.m4a", Track("aac", 44_100)),
        ("voice.opus", Track("libopus", 48_000)),
        ("voice.mka", Track("ac3", 48_000, "5.1")),
        ("voice.webm", Track("libopus", 48_000)),
        ("voice.aiff", Track("pcm_s16be", 22_050, "mono")),
    ],
)
def test_any_container_codec_rate_and_layout_becomes_16_khz_mono(tmp_path: Path, name: str, track: Track) -> None:
    samples = load(write_media(tmp_path / name, track))
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(track.seconds, abs=0.1)
    assert loudest_hz(samples) == pytest.approx(TONE_HZ, abs=3)
    assert np.abs(samples).max() <= 1.0


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "film.mov"])
def test_the_sound_of_a_video_is_read(tmp_path: Path, name: str) -> None:
    path = write_media(tmp_path / name, Track("aac"), video=True)
    assert probe(path).has_video
    assert loudest_hz(load(path)) == pytest.approx(TONE_HZ, abs=3)


def test_of_several_tracks_the_default_one_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "tracks.mkv"
    with av.open(str(path), "w") as container:
        tracks = Track("pcm_s16le", tone_hz=300.0), Track("pcm_s16le", tone_hz=1200.0)
        streams = [container.add_stream(track.codec, rate=48_000, layout="stereo") for track in tracks]
        streams[0].disposition = av.stream.Disposition(0)
        streams[1].disposition = av.stream.Disposition.default
        for stream, track in zip(streams, tracks, strict=True):
            container.mux(stream.encode(tone(track)))
            container.mux(stream.encode(None))
    assert probe(path).audio_streams == 2
    assert loudest_hz(load(path)) == pytest.approx(1200.0, abs=3)


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "cover.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        sound = container.add_stream("aac", rate=48_000, layout="stereo")
        cover = container.add_stream("mjpeg", rate=1, options={"strict": "unofficial"})
        cover.width = cover.height = 64
        cover.pix_fmt = "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        container.mux(cover.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        container.mux(cover.encode(None))
        container.mux(sound.encode(tone(Track("aac"))))
        container.mux(sound.encode(None))
    assert not probe(path).has_video
    assert loudest_hz(load(path)) == pytest.approx(TONE_HZ, abs=3)


def test_one_side_of_a_stereo_recording_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "left.wav"
    left = np.frombuffer(tone(Track("pcm_s16le", layout="mono")).to_ndarray().tobytes(), np.int16)
    both = np.stack([left, np.zeros_like(left)], axis=1).reshape(1, -1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=48_000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(both, format="s16", layout="stereo")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert np.abs(load(path)).max() > 0.05


def test_a_long_recording_comes_in_bounded_blocks(tmp_path: Path) -> None:
    path = write_media(tmp_path / "long.wav", Track("pcm_s16le", 16_000, "mono", seconds=65))
    with AudioFile(path) as media:
        lengths = [len(block) / SAMPLE_RATE_HZ for block in media.blocks()]
    assert sum(lengths) == pytest.approx(65)
    assert max(lengths) < BLOCK_S + 1
    assert media.duration_s == pytest.approx(65)


def test_a_text_file_named_mp3_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.mp3"
    path.write_text("Dear diary, this is not a recording.\n" * 100)
    with pytest.raises(UnsupportedMedia, match=r"notes\.mp3"):
        probe(path)


def test_noise_named_mp3_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "noise.mp3"
    path.write_bytes(np.random.default_rng(7).bytes(50_000))
    with pytest.raises(UnsupportedMedia):
        load(path)


def test_an_empty_file_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "empty.wav"
    path.touch()
    with pytest.raises(UnsupportedMedia, match="0 bytes"):
        probe(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedMedia, match="cannot be read"):
        probe(tmp_path / "gone.mp3")


def test_a_video_without_sound_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(NoAudioStream, match="no sound"):
        probe(write_media(tmp_path / "silent-film.mp4", video=True))


def playlist(target: Path) -> str:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{target.as_uri()}\n#EXT-X-ENDLIST\n"


def concatenation(target: Path) -> str:
    return f"ffconcat version 1.0\nfile '{target}'\n"


@pytest.mark.parametrize(("name", "make"), [("list.m3u8", playlist), ("list.mp3", playlist), ("x.txt", concatenation)])
def test_a_file_cannot_make_us_read_another(tmp_path: Path, name: str, make: Callable[[Path], str]) -> None:
    secret = write_media(tmp_path / "secret.wav", Track("pcm_s16le"))
    (tmp_path / name).write_text(make(secret))
    with pytest.raises(UnsupportedMedia):
        load(tmp_path / name)


@pytest.mark.parametrize(("name", "codec"), [("cut.mp3", "mp3"), ("cut.flac", "flac"), ("cut.mka", "aac")])
def test_what_is_there_of_a_cut_off_file_is_read_with_a_warning(tmp_path: Path, name: str, codec: str) -> None:
    path = write_media(tmp_path / name, Track(codec, seconds=20))
    os.truncate(path, path.stat().st_size // 2)
    with AudioFile(path) as media:
        samples = np.concatenate(list(media.blocks()))
    assert 8 < len(samples) / SAMPLE_RATE_HZ < 12
    assert any("cut short" in warning for warning in media.warnings)


def test_damage_in_the_middle_keeps_the_clock(tmp_path: Path) -> None:
    path = write_media(tmp_path / "damaged.m4a", Track("aac", seconds=20))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4_000] = np.random.default_rng(7).bytes(4_000)
    path.write_bytes(data)
    with AudioFile(path) as media:
        samples = np.concatenate(list(media.blocks()))
    assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(20, abs=0.1)
    assert any("damaged packets" in warning for warning in media.warnings)


def write_damaged_mp4(path: Path, claimed_packet_s: int) -> Path:
    """A second of AAC whose index claims long packets, the second half of them noise."""
    write_media(path, Track("aac", layout="mono", seconds=1))
    data = bytearray(path.read_bytes().replace(b"edts", b"free"))  # an edit list would end it after a second
    first_delta = data.index(b"stts") + 16
    data[first_delta : first_delta + 4] = (claimed_packet_s * 48_000).to_bytes(4, "big")
    sound = data.index(b"mdat") + 4
    half = sound + int.from_bytes(data[sound - 8 : sound - 4], "big") // 2
    data[half : half + 800] = np.random.default_rng(7).bytes(800)
    path.write_bytes(data)
    return path


def test_a_packet_that_claims_to_last_for_minutes_is_not_believed(tmp_path: Path) -> None:
    path = write_damaged_mp4(tmp_path / "hostile.m4a", claimed_packet_s=900)
    with AudioFile(path) as media:
        lengths_s = [len(block) / SAMPLE_RATE_HZ for block in media.blocks()]
    (warning,) = [warning for warning in media.warnings if "damaged packets" in warning]
    damaged = int(warning.split(" damaged packets")[0].rsplit("(")[-1])
    assert damaged > 2
    assert sum(lengths_s) < 1.5 + damaged * MAX_PACKET_S
    assert max(lengths_s) < 2 * BLOCK_S


def test_silence_for_damage_counts_towards_the_limit(tmp_path: Path) -> None:
    path = write_damaged_mp4(tmp_path / "hostile.m4a", claimed_packet_s=4)
    with AudioFile(path, max_duration_s=200) as media:
        list(media.blocks())
        assert 5 < media.duration_s < 200
    with pytest.raises(TooLong), AudioFile(path, max_duration_s=5) as media:
        list(media.blocks())
    assert media.duration_s < 5


def test_a_sample_rate_that_would_make_hours_of_a_few_samples_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "slow.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(1)
        file.writeframes(bytes(2 * 600))
    with pytest.raises(UnsupportedMedia, match="1 samples a second"):
        load(path)


def test_a_recording_beyond_the_limit_is_refused_by_its_header(tmp_path: Path) -> None:
    path = write_media(tmp_path / "long.wav", Track("pcm_s16le", seconds=10))
    with pytest.raises(TooLong, match="limit of 4 s"), AudioFile(path, max_duration_s=4):
        pass


def test_a_recording_just_beyond_the_limit_is_refused_once_it_is_read(tmp_path: Path) -> None:
    path = write_media(tmp_path / "long.wav", Track("pcm_s16le", seconds=5))
    with AudioFile(path, max_duration_s=4) as media, pytest.raises(TooLong):
        list(media.blocks())
    assert len(load(path, max_duration_s=5)) == 5 * SAMPLE_RATE_HZ


def test_a_file_beyond_the_limit_on_size_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = write_media(tmp_path / "big.wav", Track("pcm_s16le"))
    size_bytes = path.stat().st_size
    with AudioFile(path, max_size_bytes=size_bytes) as media:
        assert media.info.codec == "pcm_s16le"
    with pytest.raises(TooLarge, match=f"{size_bytes - 1:,}"), AudioFile(path, max_size_bytes=size_bytes - 1):
        pass


def test_a_name_that_is_no_text_can_be_complained_of(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.mp3"))
    path.touch()
    with pytest.raises(UnsupportedMedia) as caught:
        probe(path)
    assert caught.value.message.encode("utf-8")
