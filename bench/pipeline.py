"""How long each link of the chain takes: the local cloud, the functions' asset, the engine."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from avskrift.audio import probe
from avskrift.local.cloud import Cloud, CloudSettings, Step
from avskrift.local.receiver import Receiver
from bench import machine, speech
from bench.asset import Asset, deployed_asset, import_rows
from bench.report import Narrator, Report, Section
from bench.uploads import Moments, Uploads, stage_rows

SAMPLE = speech.SAMPLE
#: The fleet must be asleep before each upload; a short linger makes that wait short and touches no stage.
CONTEXT = {"linger_s": "1"}
_LIBRARIES = (
    "avskrift",
    "faster-whisper",
    "ctranslate2",
    "av",
    "onnxruntime",
    "numpy",
    "boto3",
    "aws-lambda-powertools",
    "aws-cdk-lib",
    "ministack",
)


@dataclass(frozen=True)
class Repeats:
    """How often each thing is measured."""

    uploads: int
    imports: int
    rounds: int


FULL = Repeats(uploads=4, imports=5, rounds=3)
QUICK = Repeats(uploads=1, imports=1, rounds=1)


def run(narrator: Narrator, *, quick: bool) -> Report:
    """Measure everything; what was started is stopped and what was written is removed, whatever happens."""
    repeats = QUICK if quick else FULL
    load_before = machine.load_average()
    with tempfile.TemporaryDirectory(prefix="avskrift-bench-") as name:
        folder = Path(name)
        chain, asset = _measure_cloud(folder, repeats, narrator)
        functions = _measure_asset(asset, folder, repeats, narrator)
        recorded = speech.recording(folder, quick=quick)
        narrator.say(f"speech: {recorded.path.name}, {recorded.duration_s:.0f} s of audio")
        engine = speech.section(recorded, speech.measure(recorded, repeats.rounds, narrator))
    facts = machine.describe(load_before)
    return Report("pipeline", quick, facts, machine.versions(_LIBRARIES), (*chain, functions, engine))


def _measure_cloud(folder: Path, repeats: Repeats, narrator: Narrator) -> tuple[list[Section], Asset]:
    def tell(step: Step) -> None:
        if step.state == "done":
            narrator.say(str(step))

    with Receiver() as receiver:
        settings = CloudSettings(folder / "cloud", callback_url=receiver.url, context=CONTEXT, tied=True)
        with Cloud.up(settings, on_step=tell) as cloud:
            receiver.trust(cloud.webhook_secrets())
            uploads = Uploads(cloud, receiver, SAMPLE).measure(repeats.uploads, narrator)
            asset = deployed_asset(cloud, folder)
    return _chain_sections(uploads), asset


def _chain_sections(uploads: list[Moments]) -> list[Section]:
    """The first upload starts every function's process, the others find them warm: two things, never one median."""
    title = f"Chain: {SAMPLE.name} ({probe(SAMPLE).duration_s:.1f} s) into a local cloud, no instance running before"
    groups = {"functions cold (the first upload)": uploads[:1], "functions warm": uploads[1:]}
    return [Section(f"{title}; {state}", stage_rows(group)) for state, group in groups.items() if group]


def _measure_asset(asset: Asset, folder: Path, repeats: Repeats, narrator: Narrator) -> Section:
    narrator.say("importing the handlers in fresh processes")
    imports = import_rows(asset.unpack(folder / "asset"), repeats.imports)
    return Section(
        "Functions: the asset as deployed; imports in a fresh process, boto3 included", asset.rows() + imports
    )
