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
    "nearest limit": lambda run: limit_words(run["limits"][0]),
    "the next": lambda run: limit_words(run["limits"][1]),
    "promises broken": lambda run: str(len(run["violations"])),
}


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
    return f"{limit['name']}: {limit['used']:,.3g} of {limit['allowed']:,.6g} {limit['unit']}"


def _title(runs: Sequence[Run]) -> str:
    first = runs[0]
    days = "a day" if first["days"] == 1 else f"{first['days']} days"
    return f"{days} of {first['arrivals']} uploads, seed {first['seed']}"


def _duration(seconds: float) -> str:
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"
