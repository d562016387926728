"""The runs side by side, for a person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rich.table import Table

Run = dict[str, Any]

ROWS: dict[str, Callable[[Run], str]] = {
    "upload → webhook, p50": lambda run: _duration(run["latency_s"]["p50"]),
    "upload → webhook, p95": lambda run: _duration(run["latency_s"]["p95"]),
    "upload → webhook, p99": lambda run: _duration(run["latency_s"]["p99"]),
    "upload → job ended, p99": lambda run: _duration(run["until_ended_s"]["p99"]),
    "USD per file": lambda run: f"{run['usd_per_file']:.5f}",
    "USD per audio hour": lambda run: f"{run['usd_per_audio_h']:.4f}",
    "USD in all": lambda run: f"{run['usd']:,.2f}",
    "jobs that ended": lambda run: f"{sum(run['jobs']['ended'].values()):,}",
    "  of them completed": lambda run: f"{run['jobs']['ended'].get('completed', 0):,}",
    "jobs that failed for want of machines or attempts": lambda run: f"{_failed(run):,}",
    "jobs lost": lambda run: str(run["jobs"]["lost"]),
    "instances at once, of those allowed": lambda run: f"{run['instances']['peak']} of {run['max_instances']}",
    "instances launched": lambda run: f"{run['instances']['launched']:,}",
    "launch requests, throttled": lambda run: (
        f"{run['instances']['fleet_requests']:,}, {run['instances']['throttled_requests']:,}"
    ),
    "instance hours, on spot": lambda run: f"{run['instances']['billed_h']:,.1f}, {run['instances']['spot_share']:.0%}",
    "  of them at work": lambda run: f"{run['instances']['busy_share']:.0%}",
    "instances interrupted, died": lambda run: f"{run['instances']['interrupted']}, {run['instances']['died']}",
    "leaked instance seconds": lambda run: f"{run['instances']['leaked_s']:,.0f}",
    "webhooks abandoned": lambda run: str(run["webhooks"]["abandoned"]),
    "λ capacity: passes, longest": lambda run: f"{run['capacity']['passes']:,}, {run['capacity']['peak_s']:.1f} s",
    "messages sent again though none was lost": lambda run: f"{run['capacity']['actions'].get('Resend', 0):,}",
    "nearest setting": lambda run: limit_words(_nearest(run, is_setting=True)),
    "nearest limit of AWS or of the code": lambda run: limit_words(_nearest(run, is_setting=False)),
    "promises broken": lambda run: str(len(run["violations"])),
}
COLUMNS = {
    "at once, of allowed": "instances at once, of those allowed",
    "p50": "upload → webhook, p50",
    "p95": "upload → webhook, p95",
    "p99": "upload → webhook, p99",
    "ended, p99": "upload → job ended, p99",
    "USD a file": "USD per file",
    "USD an audio hour": "USD per audio hour",
    "instances launched": "instances launched",
    "hours, on spot": "instance hours, on spot",
    "at work": "  of them at work",
    "failed": "jobs that failed for want of machines or attempts",
    "lost": "jobs lost",
    "leaked s": "leaked instance seconds",
    "nearest limit of AWS or of the code": "nearest limit of AWS or of the code",
}
"""Head of each column, and the row of ``ROWS`` that fills it."""


def table(runs: Sequence[Run]) -> Table:
    """A column for each run."""
    shown = Table(title=_title(runs))
    shown.add_column("")
    for run in runs:
        shown.add_column(f"{run['uploads_per_day']:,} a day\n{run['fleet']}", justify="right")
    for name, words in ROWS.items():
        shown.add_row(name, *map(words, runs))
    return shown


def limit_words(limit: dict[str, Any]) -> str:
    """Name, use and allowance; a share of time speaks for itself."""
    if limit["allowed"] == 1.0:
        return f"{limit['name']}: {limit['share']:.0%}"
    return f"{limit['name']}: {_plain(limit['used'])} of {limit['allowed']:,.6g} {limit['unit']}"


def _failed(run: Run) -> int:
    """Jobs that ended otherwise than by what they are."""
    own_fault = ("completed", "failed: bad_media", "failed: crashing")
    return sum(count for kind, count in run["jobs"]["ended"].items() if kind not in own_fault)


def _plain(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _nearest(run: Run, *, is_setting: bool) -> dict[str, Any]:
    found: dict[str, Any] = next(limit for limit in run["limits"] if limit["is_setting"] is is_setting)
    return found


def _title(runs: Sequence[Run]) -> str:
    first = runs[0]
    days = "a day" if first["days"] == 1 else f"{first['days']} days"
    return f"{days} of {first['arrivals']} uploads, seed {first['seed']}"


def _duration(seconds: float) -> str:
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"


def markdown(runs: Sequence[Run]) -> str:
    """The two tables of ``docs/scaling.md``: what each scale takes, and how near it comes to each limit."""
    lines = [
        _row("uploads a day", "fleet", *COLUMNS),
        _row(*("---:" for _ in range(len(COLUMNS) + 2))),
    ]
    for run in runs:
        cells = (f"{run['uploads_per_day']:,}", run["fleet"])
        lines.append(_row(*cells, *(ROWS[name](run) for name in COLUMNS.values())))
    names = sorted({limit["name"] for run in runs for limit in run["limits"]})
    lines += ["", _row("limit", *(f"{run['uploads_per_day']:,} {run['fleet']}" for run in runs))]
    lines.append(_row("---", *("---:" for _ in runs)))
    for name in names:
        found = [next(limit for limit in run["limits"] if limit["name"] == name) for run in runs]
        lines.append(_row(f"{name} ({_allowance(found)})", *(_share(limit["share"]) for limit in found)))
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _allowance(found: Sequence[dict[str, Any]]) -> str:
    """The limit itself where all runs share it."""
    allowed = {limit["allowed"] for limit in found}
    unit = found[0]["unit"]
    if len(allowed) > 1:
        return f"as set, {unit}"
    (value,) = allowed
    return unit if value == 1.0 else f"{value:,.6g} {unit}"


def _share(share: float) -> str:
    return f"**{share:.0%}**" if share >= 1 else f"{share:.2%}" if share < 0.1 else f"{share:.0%}"
