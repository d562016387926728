"""Speech to test with: the project's own samples always, the corpus where it is."""

from __future__ import annotations

import os
import wave
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def samples() -> Path:
    return CHECKOUT / "samples"


@pytest.fixture(scope="session")
def corpus() -> Path:
    folder = Path(os.environ.get("AVSKRIFT_CORPUS") or CHECKOUT.parent / "shared" / "audio")
    if not folder.is_dir():
        pytest.skip(f"no corpus at {folder}; set AVSKRIFT_CORPUS")
    return folder


@pytest.fixture
def silent_wav(tmp_path: Path) -> Path:
    """Five seconds in which nobody speaks."""
    path = tmp_path / "silence.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(2 * 16_000 * 5))
    return path
