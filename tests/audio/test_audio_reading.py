"""What is no recording, too long, too big, cut off, or lies about itself, is refused or read as far as it goes."""

from __future__ import annotations

import os
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from avskrift.audio import BLOCK_S, SAMPLE_RATE_HZ, AudioFile, load, probe
from avskrift.errors import NoAudioStream, TooLarge, TooLong, UnsupportedMedia
from avskrift.gaps import MAX_PACKET_S
from tests.audio.media_files import Picture, Sound, encode


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


def test_a_pipe_that_nobody_writes_to_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    for path in (tmp_path / "pipe.wav", Path("/dev/zero")):
        with pytest.raises(UnsupportedMedia, match="is a pipe or a device"):
            probe(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedMedia, match="cannot be read"):
        probe(tmp_path / "gone.mp3")


def test_a_video_without_sound_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(NoAudioStream, match="no sound"):
        probe(encode(tmp_path / "silent-film.mp4", picture=Picture()))


def playlist(target: Path) -> str:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{target.as_uri()}\n#EXT-X-ENDLIST\n"


def concatenation(target: Path) -> str:
    return f"ffconcat version 1.0\nfile '{target}'\n"


@pytest.mark.parametrize(("name", "make"), [("list.m3u8", playlist), ("list.mp3", playlist), ("x.txt", concatenation)])
def test_a_file_cannot_make_us_read_another(tmp_path: Path, name: str, make: Callable[[Path], str]) -> None:
    secret = encode(tmp_path / "secret.wav", Sound("pcm_s16le"))
    (tmp_path / name).write_text(make(secret))
    with pytest.raises(UnsupportedMedia):
        load(tmp_path / name)


@pytest.mark.parametrize(("name", "codec"), [("cut.mp3", "mp3"), ("cut.flac", "flac"), ("cut.mka", "aac")])
def test_what_is_there_of_a_cut_off_file_is_read_with_a_warning(tmp_path: Path, name: str, codec: str) -> None:
    path = encode(tmp_path / name, Sound(codec, seconds=20))
    os.truncate(path, path.stat().st_size // 2)
    with AudioFile(path) as media:
        samples = np.concatenate(list(media.blocks()))
    assert 8 < len(samples) / SAMPLE_RATE_HZ < 12
    assert any("cut short" in warning for warning in media.warnings)


def write_damaged_mp4(path: Path, claimed_packet_s: int) -> Path:
    """A second of AAC whose index claims long packets, the second half of them noise."""
    encode(path, Sound("aac", seconds=1))
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
    path = encode(tmp_path / "long.wav", Sound("pcm_s16le", seconds=10))
    with pytest.raises(TooLong, match="limit of 4 s"), AudioFile(path, max_duration_s=4):
        pass


def test_a_recording_just_beyond_the_limit_is_refused_once_it_is_read(tmp_path: Path) -> None:
    path = encode(tmp_path / "long.wav", Sound("pcm_s16le", seconds=5))
    with AudioFile(path, max_duration_s=4) as media, pytest.raises(TooLong):
        list(media.blocks())
    assert len(load(path, max_duration_s=5)) == 5 * SAMPLE_RATE_HZ


def test_a_file_beyond_the_limit_on_size_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = encode(tmp_path / "big.wav", Sound("pcm_s16le"))
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
