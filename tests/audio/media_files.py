"""Media files to read, made by the encoders of the installed wheel: each channel holds a tone of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import av.codec.codec
import av.stream
import numpy as np
import pytest
from numpy.typing import NDArray

from avskrift.audio import SAMPLE_RATE_HZ

TONE_HZ = 440.0
#: Of the channels behind the first, each above the one before it.
CHANNEL_STEP_HZ = 300.0
#: The tone after a change.
CHANGED_HZ = 1240.0


@dataclass(frozen=True)
class Sound:
    """What to encode, and how."""

    codec: str
    rate_hz: int = 48_000
    layout: str = "mono"
    seconds: float = 3.0
    tone_hz: float = TONE_HZ
    options: dict[str, str] = field(default_factory=dict)
    changes_at_s: float | None = None
    """From here on another tone, to see whether the clock holds; with some noise, so that packets are alike."""
    language: str | None = None
    is_default: bool = False


@dataclass(frozen=True)
class Picture:
    """What there is to see beside the sound."""

    codec: str = "mpeg4"
    pixels: str = "yuv420p"
    frames: int = 20
    rate_hz: int = 10
    is_cover: bool = False


def encode(path: Path, *sounds: Sound, container: str | None = None, picture: Picture | None = None) -> Path:
    """Skips the test where the wheel has no such encoder."""
    for sound in sounds:
        _require_encoder(sound.codec)
    with av.open(str(path), "w", format=container) as file:
        streams = [_stream(file, sound) for sound in sounds]
        if picture:
            draw(file, picture)
        for stream, sound in zip(streams, sounds, strict=True):
            _encode(file, stream, sound)
    return path


def _require_encoder(codec: str) -> None:
    try:
        av.codec.Codec(codec, "w")
    except av.codec.codec.UnknownCodecError:
        pytest.skip(f"the installed av has no encoder for {codec}")


def draw(file: Any, picture: Picture) -> None:
    """A picture stream, whole, into a file that is being written."""
    _require_encoder(picture.codec)
    stream = file.add_stream(picture.codec, rate=picture.rate_hz, options={"strict": "unofficial"})
    stream.width = stream.height = 64
    stream.pix_fmt = picture.pixels
    if picture.is_cover:
        stream.disposition = av.stream.Disposition.attached_pic
    for number in range(picture.frames):
        frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), number, np.uint8), format="rgb24")
        file.mux(stream.encode(frame))
    file.mux(stream.encode(None))


def _stream(file: Any, sound: Sound) -> Any:
    stream = file.add_stream(sound.codec, rate=sound.rate_hz, layout=sound.layout, options=sound.options)
    stream.disposition = av.stream.Disposition.default if sound.is_default else av.stream.Disposition(0)
    if sound.language:
        stream.metadata["language"] = sound.language
    return stream


def _encode(file: Any, stream: Any, sound: Sound) -> None:
    context = stream.codec_context
    fitting = av.AudioResampler(format=context.format, layout=sound.layout, rate=context.sample_rate)
    for frame in [*_frames(sound), None]:
        for fitted in fitting.resample(frame):
            file.mux(stream.encode(fitted))
    file.mux(stream.encode(None))


def _frames(sound: Sound) -> list[Any]:
    samples = np.ascontiguousarray(tones(sound).T.reshape(1, -1))
    channels = av.AudioLayout(sound.layout).nb_channels
    frames = []
    for start in range(0, samples.shape[1], sound.rate_hz * channels):
        piece = samples[:, start : start + sound.rate_hz * channels]
        frame = av.AudioFrame.from_ndarray(piece, format="flt", layout=sound.layout)
        frame.sample_rate = sound.rate_hz
        frame.pts = start // channels
        frames.append(frame)
    return frames


def tones(sound: Sound) -> NDArray[np.float32]:
    """Channels × samples: in each a tone of its own, so that neither order nor mixing can go wrong unseen."""
    channels = av.AudioLayout(sound.layout).nb_channels
    at_s = np.arange(round(sound.seconds * sound.rate_hz)) / sound.rate_hz
    hz = sound.tone_hz + CHANNEL_STEP_HZ * np.arange(channels)[:, None]
    waves = 0.3 * np.sin(2 * np.pi * hz * at_s)
    if sound.changes_at_s is not None:
        waves = np.where(at_s < sound.changes_at_s, waves, 0.3 * np.sin(2 * np.pi * CHANGED_HZ * at_s))
        waves += np.random.default_rng(3).normal(0, 0.02, waves.shape)
    return waves.astype(np.float32)


def loudest_hz(samples: NDArray[np.float32]) -> float:
    spectrum = np.abs(np.fft.rfft(samples))
    return float(np.argmax(spectrum) * SAMPLE_RATE_HZ / len(samples))


def changes_at_s(samples: NDArray[np.float32]) -> float:
    """When the tone is first the other one, to 0.1 s."""
    window = SAMPLE_RATE_HZ // 10
    pieces = samples[: len(samples) // window * window].reshape(-1, window)
    spectra = np.abs(np.fft.rfft(pieces, axis=1))
    at = round(CHANGED_HZ * window / SAMPLE_RATE_HZ)
    strong = (spectra.argmax(axis=1) == at) & (spectra[:, at] > window / 20)
    assert strong.any(), "the other tone is not there"
    return float(np.argmax(strong)) / 10


def purity(samples: NDArray[np.float32], hz: float) -> float:
    """The share of the energy that lies within 10 Hz of a tone."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    near = np.abs(np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE_HZ) - hz) < 10
    return float(spectrum[near].sum() / spectrum.sum())
