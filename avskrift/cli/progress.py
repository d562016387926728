"""Progress bars: of a transcription, how far, how fast, how long yet; of other work, how many steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, ProgressColumn, Task, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

from avskrift.asr.options import Progress
from avskrift.cli.terminal import err


@contextmanager
def progress_bar(name: str, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """What takes an engine's reports and shows them on a terminal; nowhere else is anything shown."""
    columns = TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), PaceColumn()
    with Bar(*columns, console=err, transient=True, disable=quiet or not err.is_terminal) as bar:
        task = bar.add_task(name, total=None)
        yield lambda progress: bar.update(task, completed=progress.done_s, total=progress.total_s)


@contextmanager
def step_bar(name: str, steps: int, quiet: bool) -> Iterator[Callable[[], None]]:
    """What is called after each of ``steps`` that take about as long; shown on a terminal only."""
    columns = TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn()
    with Bar(*columns, console=err, transient=True, disable=quiet or not err.is_terminal) as bar:
        task = bar.add_task(name, total=steps)
        yield lambda: bar.advance(task)


class PaceColumn(ProgressColumn):
    """Real-time factor and time left, as of now."""

    def render(self, task: Task) -> Text:
        return Text(pace(task.completed, task.total, task.elapsed or 0.0), style="progress.remaining")


def pace(done_s: float, total_s: float | None, elapsed_s: float) -> str:
    """``8.3x, 1:05 left``: audio seconds done a second, and when the rest is done at that pace; "" before any is."""
    if not total_s or done_s <= 0 or elapsed_s <= 0:
        return ""
    factor = done_s / elapsed_s
    return f"{factor:.1f}x, {_clock(max(0.0, total_s - done_s) / factor)} left"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
