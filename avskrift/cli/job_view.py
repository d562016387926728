"""One job as people read it: lines of name and value, without any trust in what its row holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avskrift.jobs.model import Job

_NAME_WIDTH = 11


def job_lines(job: Job) -> Iterator[str]:
    """Everything worth knowing of a job; what it has not is left out."""
    for name, values in _sections(job):
        for number, value in enumerate(values):
            yield f"{'' if number else name:{_NAME_WIDTH}}{printable(value)}"


def printable(text: str) -> str:
    """Text of strangers (keys, options) with control characters shown, not obeyed."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def status_text(job: Job) -> str:
    if job.error:
        return f"{job.status.value} ({job.error.code})"
    if job.progress and job.progress.total_s and not job.is_terminal:
        return f"{job.status.value} {100 * job.progress.done_s / job.progress.total_s:.0f}%"
    return job.status.value


def clock(epoch_s: Any) -> str:
    """UTC to the second; what is no time as it is."""
    try:
        return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (TypeError, ValueError, OverflowError, OSError):
        return str(epoch_s)


def _sections(job: Job) -> Iterator[tuple[str, list[str]]]:
    yield "job", [job.job_id]
    yield "status", [f"{status_text(job)}, since {clock(job.status_at)} UTC"]
    yield "recording", [f"{job.key} ({job.size_bytes:,} bytes)"]
    yield "attempts", [f"{job.attempt}, {job.failures} failed, {job.interruptions} interrupted by EC2"]
    if job.instance_id:
        yield "instance", [job.instance_id]
    if job.error:
        yield "error", [job.error.message]
    by_time = sorted(job.phases.items(), key=lambda phase: phase[1])
    yield "phases", [f"{clock(at)}  {name}" for name, at in by_time]
    yield "launches", [line for launch in job.launches for line in _launch_lines(launch)]
    yield "result", [f"{name}: {value}" for name, value in _result(job).items()]
    yield "cost", list(_cost_lines(job.cost or {}))


def _result(job: Job) -> dict[str, Any]:
    """The result with each file in a line of its own."""
    values = dict(job.result or {})
    keys = values.pop("keys", {})
    return {**values, **keys} if isinstance(keys, Mapping) else values


def _cost_lines(cost: Mapping[str, Any]) -> Iterator[str]:
    """What it cost, what of, and how the price is known; a cost of another make as it is."""
    names = ("usd", "ipv4_usd", "billed_s", "work_s", "boot_s", "linger_s", "usd_per_hour")
    if not all(isinstance(cost.get(name), int | float) for name in names):
        yield from (f"{name}: {value}" for name, value in cost.items())
        return
    yield f"{cost['usd']:.6f} USD, {cost['ipv4_usd']:.6f} of it for the address"
    yield "{billed_s:.1f} s billed: {work_s:.1f} work, {boot_s:.1f} boot, {linger_s:.1f} linger".format_map(cost)
    instance = f"{cost.get('instance_type')}, {cost.get('market')}"
    yield f"{instance}: {cost['usd_per_hour']} USD an hour ({cost.get('price_from')})"
    split = cost.get("by_market")
    if isinstance(split, Mapping) and len(split) > 1:
        yield "by market: " + ", ".join(f"{market} {usd} USD" for market, usd in split.items())


def _launch_lines(launch: Mapping[str, Any]) -> Iterator[str]:
    """One launch made for the job: what it brought, and which types and zones refused it why."""
    had = _dicts(launch.get("instances"))
    yield f"{clock(launch.get('at'))}  {launch.get('market')}: {len(had)} of {launch.get('wanted')} instances"
    for one in had:
        yield f"  {one.get('instance_id')}: {_place(one)}"
    places: dict[str, list[str]] = {}
    for error in _dicts(launch.get("errors")):
        places.setdefault(str(error.get("code")), []).append(_place(error))
    for code, where in places.items():
        yield f"  {code}: {', '.join(where)}"


def _place(one: Mapping[str, Any]) -> str:
    return " in ".join(str(one[name]) for name in ("instance_type", "zone") if one.get(name)) or "anywhere"


def _dicts(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
