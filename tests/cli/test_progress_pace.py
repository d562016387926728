"""What the progress bar says of the pace."""

from __future__ import annotations

import pytest

from avskrift.cli.progress import pace


@pytest.mark.parametrize(
    ("done_s", "total_s", "elapsed_s", "said"),
    [
        (60.0, 600.0, 6.0, "10.0x, 0:54 left"),
        (600.0, 36_000.0, 60.0, "10.0x, 59:00 left"),
        (600.0, 600.0, 60.0, "10.0x, 0:00 left"),
        (30.0, 45_030.0, 3.0, "10.0x, 1:15:00 left"),
        (700.0, 600.0, 70.0, "10.0x, 0:00 left"),
        (0.0, 600.0, 3.0, ""),
        (60.0, None, 6.0, ""),
        (60.0, 0.0, 6.0, ""),
        (60.0, 600.0, 0.0, ""),
    ],
)
def test_pace_is_the_real_time_factor_and_the_time_left(
    done_s: float, total_s: float | None, elapsed_s: float, said: str
) -> None:
    assert pace(done_s, total_s, elapsed_s) == said
