"""``scripts/gate``: plants failures, runs the real model and the real gate, and prints what was caught."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from avskrift.asr import models
from avskrift.asr.decoding import Decoder
from avskrift.asr.options import EngineConfig
from avskrift.asr.process import ALLOCATOR_ENVIRONMENT
from avskrift.cli import run_command
from bench.gate import material, trial
from bench.gate.markdown import measures_table, thresholds_table, whole_gate
from bench.gate.trial import Outcome
from bench.machine import describe, load_average, versions
from bench.report import Narrator


def command(
    model: Annotated[str, typer.Option(help="A name of `avskrift models list`, or a directory.")] = "base",
    compute_type: Annotated[str, typer.Option(help="As for `avskrift transcribe`.")] = "default",
    fit: Annotated[
        bool, typer.Option("--fit", help="More cases; what other thresholds would catch; what the gate costs.")
    ] = False,
    texts: Annotated[bool, typer.Option("--texts", help="The text of every case at the end.")] = False,
) -> None:
    """What the quality gate catches of planted failures, and what it takes for one, with this model; as Markdown.

    Examples:

        scripts/gate

        scripts/gate --fit --model kb-whisper-small
    """
    narrator = Narrator()
    before = load_average()
    config = EngineConfig(model=model, compute_type=compute_type)
    decoder = Decoder(models.resolve(model), config)
    decoder.whisper.replicas.use(decoder.plan)  # a batch on each core, as for a long recording
    cases = material.cases(every=fit)
    narrator.say(f"{len(cases)} cases")
    outcomes = trial.run(decoder, cases)
    narrator.say("all decoded")
    lines = [*measures_table(outcomes), "", *whole_gate(outcomes)]
    if fit:
        lines += ["", *_cost(decoder, cases), "", *thresholds_table(outcomes, decoder.limits)]
    typer.echo("\n".join([*_conditions(decoder, model, before), "", *lines]))
    if texts:
        typer.echo("\n".join(_told(outcome) for outcome in outcomes))


def _conditions(decoder: Decoder, model: str, load_before: float) -> list[str]:
    facts = describe(load_before) | versions(("avskrift", "faster-whisper", "ctranslate2"))
    return [
        f"Model {model}, {decoder.plan.compute_type} on {decoder.plan.device}; thresholds: {decoder.limits.source}.",
        "; ".join(f"{name} {value}" for name, value in facts.items()) + ".",
    ]


def _cost(decoder: Decoder, cases: Sequence[material.Case]) -> list[str]:
    """Reversed speech: nearly every chunk fails however it is tried."""
    hopeless = [case for case in cases if case.kind == "reversed"]
    alone, gated = (trial.seconds(decoder, hopeless, limits) for limits in (trial.NO_GATE, None))
    return [f"Reversed speech takes {gated / alone:.1f} times the CPU with the gate ({gated:.0f} s) as without it."]


def _told(outcome: Outcome) -> str:
    measures = outcome.first.measures
    return (
        f"{outcome.case.kind}, {outcome.case.name}, {outcome.case.language}: tokens {measures.tokens} "
        f"({measures.tokens_per_s:.2f}/s), log-p. {measures.log_probability:.2f}, no-speech "
        f"{measures.no_speech_probability:.2f}, uncovered {measures.uncovered_s}, heard {measures.heard}; "
        f"{[(take.how.value, [fault.value for fault in take.faults]) for take in outcome.takes]} -> {outcome.text!r}"
    )


if __name__ == "__main__":
    if not ALLOCATOR_ENVIRONMENT.keys() <= os.environ.keys():  # they count at the start of a process only
        again = [sys.executable, "-m", "bench.gate", *sys.argv[1:]]
        os.execve(sys.executable, again, {**os.environ, **ALLOCATOR_ENVIRONMENT})  # noqa: S606
    run_command(command, "scripts/gate")
