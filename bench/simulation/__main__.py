"""``scripts/simulate``: runs scenarios and says what they come to."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from avskrift.cli import run_command
from avskrift.cli.terminal import err, show_table
from avskrift.errors import AvskriftError
from avskrift.jobs.fleet_model import FleetSettings
from bench.simulation import scenario as scenarios
from bench.simulation.measure import summary
from bench.simulation.plot import plot
from bench.simulation.report import markdown, table
from bench.simulation.scenario import Scenario
from bench.simulation.world import Simulation

Arrivals = Literal["steady", "diurnal", "burst"]
Fleets = Literal["draining", "one-shot", "both"]
HIGHEST_USD_PER_H = 1.1
"""Of one instance, when the daily limit is to fit."""


class BrokenPromise(AvskriftError):
    """A run in which something happened that must never happen."""

    code = "broken_promise"


def _writable(path: Path | None) -> Path | None:
    """Said before the runs, not after minutes of them."""
    if path and not path.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent}: make it first.")
    return path


def command(  # noqa: PLR0913, PLR0917 - a parameter is an option of the command
    uploads_per_day: Annotated[list[int], typer.Option("--uploads-per-day", "-n", min=1, help="May be repeated.")],
    days: Annotated[int, typer.Option(min=1, help="Days of uploads; then the fleet is left to drain.")] = 1,
    arrivals: Annotated[
        Arrivals, typer.Option(help="Evenly, by the hour of the day, or a third within minutes.")
    ] = "diurnal",
    fleet: Annotated[
        Fleets,
        typer.Option(help="Instances that work off the queue, an instance for each file, or one after the other."),
    ] = "draining",
    seed: Annotated[int, typer.Option(help="The same seed, the same run.")] = 1,
    max_instances: Annotated[
        int | None, typer.Option(min=1, help="Default: what a diurnal peak keeps busy and a third more, at least 5.")
    ] = None,
    max_usd_per_day: Annotated[
        float | None, typer.Option(min=0.01, help="Default: what the allowed instances cost at most.")
    ] = None,
    target_drain_s: Annotated[int, typer.Option(min=1, help="Draining fleet only.")] = 600,
    lease_s: Annotated[float, typer.Option(min=1)] = 90,
    heartbeat_s: Annotated[float, typer.Option(min=1)] = 15,
    linger_s: Annotated[float, typer.Option(min=0, help="Draining fleet only.")] = 120,
    no_capacity_after_s: Annotated[float, typer.Option(min=1)] = 7_200,
    max_failures: Annotated[int, typer.Option(min=1)] = 3,
    max_life_s: Annotated[float, typer.Option(min=60)] = 21_600,
    vcpu_quota: Annotated[
        int | None, typer.Option(min=4, help="Of spot, and as many on demand. Default: no limit.")
    ] = None,
    deadline_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the uploads that may wait six hours for spot.")
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout instead of a table.")] = False,
    plot_to: Annotated[
        Path | None,
        typer.Option(
            "--plot", dir_okay=False, callback=_writable, help="Draw latency and cost over uploads a day (SVG)."
        ),
    ] = None,
    markdown_to: Annotated[
        Path | None,
        typer.Option("--markdown", dir_okay=False, callback=_writable, help="Write the tables of docs/scaling.md."),
    ] = None,
) -> None:
    """Let the deployment's own fleet policy run a modelled day, and say how long, how much, and what gets in the way.

    Exits 1 if a promise was broken: a job or webhook lost or doubled, an instance left, too many at once.

    Examples:

        scripts/simulate --uploads-per-day 1000

        scripts/simulate --uploads-per-day 10000 --arrivals burst --fleet both

        scripts/simulate -n 100 -n 1000 -n 10000 --fleet both --json --plot scaling.svg > runs.json
    """
    base = Scenario(
        uploads_per_day=1,
        limits=FleetSettings(
            max_instances or 0,
            target_drain_s,
            lease_s,
            no_capacity_after_s,
            max_failures,
            max_usd_per_day or 0,
            max_life_s,
        ),
        days=days,
        arrivals=arrivals,
        seed=seed,
        linger_s=linger_s,
        heartbeat_s=heartbeat_s,
        vcpu_quota=vcpu_quota or 0,
        deadline_share=deadline_share,
    )
    fleets = scenarios.FLEETS if fleet == "both" else (fleet,)
    _tell(
        [_run(fitted(base, count, kind)) for count in uploads_per_day for kind in fleets], as_json, plot_to, markdown_to
    )


def _tell(runs: list[dict[str, Any]], as_json: bool, plot_to: Path | None, markdown_to: Path | None) -> None:
    """Write what was asked for; ``BrokenPromise`` comes last, so that it can be seen where."""
    if plot_to:
        plot_to.write_text(plot(runs), encoding="utf-8")
    if markdown_to:
        markdown_to.write_text(markdown(runs), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps({"runs": runs}, ensure_ascii=False, indent=2))
    else:
        show_table(table(runs))
    broken = [
        f"{run['uploads_per_day']} a day, {run['fleet']}, seed {run['seed']}: {sentence}"
        for run in runs
        for sentence in run["violations"]
    ]
    if broken:
        raise BrokenPromise("; ".join(broken) + ".")


def fitted(base: Scenario, uploads_per_day: int, fleet: str) -> Scenario:
    """``base`` at one scale: limits that were left open fit it; a one-shot fleet wants an instance for each job."""
    limits = base.limits
    max_instances = limits.max_instances or scenarios.fitting_instances(uploads_per_day, fleet, base.assumptions)
    fitting = replace(
        limits,
        max_instances=max_instances,
        max_usd_per_day=limits.max_usd_per_day or max(50.0, max_instances * 24 * HIGHEST_USD_PER_H),
        target_drain_s=1 if fleet == scenarios.ONE_SHOT else limits.target_drain_s,
    )
    return replace(base, uploads_per_day=uploads_per_day, fleet=fleet, limits=fitting)


def _run(scenario: Scenario) -> dict[str, Any]:
    name = f"{scenario.uploads_per_day:,} a day, {scenario.fleet}"
    began = time.monotonic()
    with _progress(name) as on_progress:
        result = summary(Simulation(scenario, on_progress).run())
    err.print(f"{name}: {time.monotonic() - began:.1f} s")
    return result


@contextmanager
def _progress(name: str) -> Iterator[Callable[[float], None]]:
    """A bar for whoever watches; silence for a file."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task(name, total=1.0)
        yield lambda share: progress.update(task, completed=share)


if __name__ == "__main__":
    run_command(command, "scripts/simulate")
