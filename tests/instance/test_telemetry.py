"""What the agent says of its jobs in CloudWatch: which job each line is about, and never a client's words."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from aws_lambda_powertools import Logger

from avskrift.asr.engine import Progress
from avskrift.errors import NoAudioStream, WorkerCrashed
from avskrift.jobs import metrics
from avskrift.jobs.metrics import Metric
from avskrift.jobs.model import Job
from avskrift.own_words import OwnWords
from instance import telemetry
from instance.log_context import about, carried
from instance.preparation import Preparation
from instance.shipping import Line
from instance.telemetry import ShippingHandler, Telemetry, emf_line, log_fault
from tests.instance.agent_stage import PATIENCE_S, Stage, Work

CATALOG = {one.name: one for one in vars(metrics).values() if isinstance(one, Metric)} | {
    one.name: one for group in (metrics.PHASES, metrics.LAUNCH_FAULTS) for one in group.values()
}
SILENT = NoAudioStream("There is no sound in this file: send its audio track.")
CRASH = WorkerCrashed("The worker died (signal 11).")


class Shelf:
    """Keeps lines where a shipper would send them."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.lost = 0

    def put(self, line: Line) -> None:
        self.lines.append(json.loads(line.text))

    def count_lost(self, lines: int = 1) -> None:
        self.lost += lines

    def close(self) -> None: ...

    @property
    def words(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if "_aws" not in line]

    @property
    def numbers(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if "_aws" in line]


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    """Takes what every logger says."""
    shelf: Any = Shelf()
    handler = ShippingHandler(shelf, "i-1")
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.INFO)
    root.addHandler(handler)
    yield shelf
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def job(stage: Stage) -> Job:
    return stage.upload()


def live(stage: Stage, shelf: Any, *outcomes: Any, **services: Any) -> None:
    stage.run(*outcomes, measure=Telemetry(shelf, "test", "i-1").measure, **services)


@pytest.mark.parametrize("outcomes", [(None,), (SILENT,), (CRASH, None), (CRASH,)], ids=["", "bad", "retried", "worn"])
def test_every_line_about_a_job_says_which_and_which_attempt(
    stage: Stage, shelf: Shelf, job: Job, outcomes: tuple[Any, ...]
) -> None:
    live(stage, shelf, *outcomes)
    about_it = [line for line in shelf.words if job.job_id in line["message"]]
    assert len(about_it) > 1
    assert {line.get("job_id") for line in about_it} == {job.job_id}
    assert {line["attempt"] for line in about_it} == set(range(1, stage.job(job).attempt + 1))
    assert {line["job_id"] for line in shelf.numbers} == {job.job_id}
    assert shelf.lost == 0


def test_lines_look_like_those_of_the_functions(stage: Stage, shelf: Shelf, job: Job) -> None:
    stream = io.StringIO()
    Logger(service="register", stream=stream).info("registered", job_id="abc")
    with about("abc"):
        logging.getLogger("instance.test").info("said %s", "so")
    theirs, (ours, *_) = json.loads(stream.getvalue()), [line for line in shelf.words if line["message"] == "said so"]
    assert set(ours) == {*theirs, "instance_id"}
    assert (ours["service"], ours["instance_id"], ours["job_id"], ours["level"]) == ("agent", "i-1", "abc", "INFO")


def test_numbers_are_of_the_catalog_with_the_deployment_as_their_only_dimension(
    stage: Stage, shelf: Shelf, job: Job
) -> None:
    live(stage, shelf, None)
    told: dict[str, float] = {}
    for line in shelf.numbers:
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert (directive["Namespace"], directive["Dimensions"]) == ("avskrift", [["deployment"]])
        assert line["deployment"] == "test"
        for metric in directive["Metrics"]:
            assert metric["Unit"] == CATALOG[metric["Name"]].unit
            told[metric["Name"]] = sum(line[metric["Name"]])
    wanted = {metrics.JOBS_COMPLETED, metrics.AUDIO, metrics.JOB_COST, metrics.BOOT, metrics.WEBHOOK_ATTEMPTS}
    wanted |= {metrics.PHASES[phase] for phase in ("claimed", "downloaded", "model_ready", "transcribed", "stored")}
    assert {metric.name for metric in wanted} <= set(told)
    assert (told["JobsCompleted"], told["Audio"]) == (1.0, 2.0)


def test_life_of_a_job_can_be_followed(stage: Stage, shelf: Shelf, job: Job) -> None:
    live(stage, shelf, None)
    words = [line["message"].removeprefix(f"job {job.job_id}: ") for line in shelf.words if "job_id" in line]
    story = ["attempt 1", "downloaded", "model_ready", "transcribed", "stored", "completed", "attempt at its webhook"]
    assert [word for word in words if word in story] == story
    fields = {name: line[name] for line in shelf.words for name in ("status", "state", "http_status") if name in line}
    assert fields == {"status": "completed", "state": "pending", "http_status": 0}


def test_line_about_the_next_job_is_not_taken_for_one_about_the_present(
    stage: Stage, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next recording is fetched while the present one is at work."""
    jobs = [stage.upload(f"uploads/{number}.mp3", str(number).encode()) for number in range(2)]
    fetched = threading.Event()
    monkeypatch.setattr(Preparation, "_fetch_ahead", _say_that_it_is_fetched(fetched))

    def be_nearly_done(work: Work) -> None:
        work.on_progress(Progress(2.0, 2.0))
        assert fetched.wait(PATIENCE_S)

    live(stage, shelf, be_nearly_done, None)
    for job in jobs:
        about_it = [line for line in shelf.words if job.job_id in line["message"]]
        assert {line["job_id"] for line in about_it} == {job.job_id}
    ahead = [line for line in shelf.words if line["message"].endswith("fetched ahead")]
    assert len({line["job_id"] for line in ahead}) == 1


def _say_that_it_is_fetched(fetched: threading.Event) -> Any:
    def fetch_ahead(self: Preparation, job: Job, on_failure: Any) -> None:
        logging.getLogger("instance.test").info("job %s: fetched ahead", job.job_id)
        fetched.set()

    return fetch_ahead


def test_idle_agent_emits_no_number(stage: Stage, shelf: Shelf) -> None:
    live(stage, shelf)
    assert shelf.numbers == []


def test_words_of_clients_and_of_other_libraries_stay_here(stage: Stage, shelf: Shelf) -> None:
    job = stage.upload("uploads/hemlig-kund.mp3")
    fault = RuntimeError("could not read uploads/hemlig-kund.mp3")
    logging.getLogger("urllib3.connectionpool").warning("discarded https://bucket/%s", "uploads/hemlig-kund.mp3")
    try:
        raise fault
    except RuntimeError as error:
        logging.getLogger("instance.test").exception("a trace")
        log_fault("the agent ended", error)
    live(stage, shelf, fault)
    assert stage.job(job).failures == 2
    text = json.dumps(shelf.lines)
    assert "hemlig" not in text
    assert "RuntimeError" in text
    assert "urllib3.connectionpool logged a line, which is left out" in text
    assert "exception" not in {name for line in shelf.words for name in line}


def test_fault_that_nobody_foresaw_is_told_by_its_kind_and_place(shelf: Shelf) -> None:
    def fail() -> None:
        raise KeyError("uploads/hemlig.mp3")

    with pytest.raises(KeyError) as caught:
        fail()
    log_fault("the thread heart ended", caught.value)
    (line,) = shelf.words
    assert line["level"] == "ERROR"
    assert line["message"].startswith("the thread heart ended: KeyError (")
    assert line["message"].endswith(" fail)")


def test_thread_knows_what_its_beginner_worked_on(shelf: Shelf) -> None:
    def say() -> None:
        logging.getLogger("instance.test").info("from a thread")

    with about("abc", 2):
        within = threading.Thread(target=carried(say))
    without = threading.Thread(target=carried(say))
    for thread in (within, without):
        thread.start()
        thread.join()
    assert [(line.get("job_id"), line.get("attempt")) for line in shelf.words] == [("abc", 2), (None, None)]


def test_line_that_can_not_be_written_is_lost_and_raises_nothing(shelf: Any) -> None:
    ShippingHandler(shelf, "i-1").handle(logging.makeLogRecord({"name": "instance", "msg": "%d", "args": ("none",)}))
    assert shelf.lost == 1


def test_long_line_is_cut(shelf: Shelf) -> None:
    logging.getLogger("instance.test").info("x" * 100_000)
    assert len(shelf.words[0]["message"]) == 8_000


def test_number_that_is_none_is_not_told_and_raises_nothing(shelf: Any, job: Job) -> None:
    nonsense: Any = {metrics.AUDIO: "much"}
    Telemetry(shelf, "test", "i-1").measure(nonsense, job)
    assert shelf.numbers == []


def test_journal_keeps_texts_of_exceptions_to_itself() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(OwnWords())
    logger = logging.Logger("instance.test")
    logger.addHandler(handler)
    try:
        raise RuntimeError("hemlig")
    except RuntimeError:
        logger.exception("it failed")
    assert stream.getvalue() == "it failed\n"


def test_service_is_no_dimension(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "elsewhere")
    line = json.loads(emf_line({metrics.AUDIO: 2.0}, "test", "i-1", "abc"))
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["deployment"]]
    assert line["service"] == "agent"


@pytest.mark.parametrize("hangs", [False, True], ids=["", "hangs"])
def test_process_ends_after_its_last_words_and_without_them_if_need_be(
    monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    released = threading.Event()
    steps: list[object] = []
    monkeypatch.setattr(telemetry, "LAST_WORDS_S", -0.9 if hangs else PATIENCE_S)
    monkeypatch.setattr(logging, "shutdown", lambda: released.wait() if hangs else steps.append("last words"))
    monkeypatch.setattr(telemetry.os, "_exit", steps.append)
    telemetry.end_process(1)
    released.set()
    assert steps == ([1] if hangs else ["last words", 1])


def test_thread_that_ends_by_a_fault_says_so(monkeypatch: pytest.MonkeyPatch, shelf: Shelf) -> None:
    monkeypatch.setattr(threading, "excepthook", telemetry._log_thread_fault)

    def fail() -> None:
        raise ValueError("uploads/hemlig.mp3")

    thread = threading.Thread(target=fail, name="heart")
    thread.start()
    thread.join()
    (line,) = shelf.words
    assert line["message"].startswith("the thread heart ended: ValueError (")
    assert "hemlig" not in json.dumps(line)
