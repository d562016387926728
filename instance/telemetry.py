"""The agent's own words and numbers: to the journal as text, to CloudWatch as the functions' Powertools writes them.

Lines are JSON objects with ``job_id`` and ``attempt`` where they are about a job; numbers are the same with an ``_aws``
member, which CloudWatch takes for metrics (embedded metric format, EMF) without any further permission or agent. Never
in either: keys, addresses, texts of exceptions or of other libraries.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from avskrift.jobs.measures import Measures
from avskrift.jobs.metrics import DIMENSION, NAMESPACE
from avskrift.jobs.model import Job
from avskrift.own_words import OwnWords, keep_to_own_words, places_of
from instance import shipping
from instance.faults import brief
from instance.log_context import current_subject
from instance.settings import AgentSettings, Identity
from instance.shipping import LAST_WORDS_S, Line, LogStream, Shipper

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

log = logging.getLogger(__name__)
SERVICE = "agent"
MAX_MESSAGE_CHARS = 8_000


class ShippingHandler(logging.Handler):
    """Log records as JSON lines to a shipper."""

    def __init__(self, shipper: Shipper, instance_id: str) -> None:
        super().__init__()
        self._shipper = shipper
        self.addFilter(OwnWords())
        self.addFilter(lambda record: record.name != shipping.__name__)
        self.setFormatter(LambdaPowertoolsFormatter(service=SERVICE, utc=True, instance_id=instance_id))

    def emit(self, record: logging.LogRecord) -> None:
        """Never raises, never waits."""
        try:
            self._shipper.put(Line(int(record.created * 1_000), self.format(_about_its_job(record))))
        except Exception:  # noqa: BLE001  (a line that can't be written is one that got lost)
            self._shipper.count_lost()

    def close(self) -> None:
        """The last lines go out, within ``LAST_WORDS_S``; ``logging.shutdown`` calls this at a process's end."""
        self._shipper.close()
        super().close()


def _about_its_job(record: logging.LogRecord) -> logging.LogRecord:
    """A copy: other handlers write the line as it is."""
    subject = current_subject()
    extra = {"job_id": subject.job_id, "attempt": subject.attempt or None} if subject else {}
    message = record.getMessage()[:MAX_MESSAGE_CHARS]
    known = {name: value for name, value in extra.items() if value is not None}
    return logging.makeLogRecord({**record.__dict__, **known, "msg": message, "args": None})


@dataclass(frozen=True)
class Telemetry:
    """Where one agent's lines and numbers go."""

    shipper: Shipper
    deployment: str
    instance_id: str

    def measure(self, measures: Measures, job: Job) -> None:
        """Numbers about a job; never raises, never waits."""
        if not measures:
            return
        try:
            self.shipper.put(Line(_now_ms(), emf_line(measures, self.deployment, self.instance_id, job.job_id)))
        except Exception as error:  # noqa: BLE001  (no number is worth a job)
            log.warning("job %s: what became of it was not counted: %s", job.job_id, brief(error))


def emf_line(measures: Measures, deployment: str, instance_id: str, job_id: str) -> str:
    """One event of several metrics, whose only dimension is the deployment; the ids are to be searched for."""
    provider = AmazonCloudWatchEMFProvider(
        namespace=NAMESPACE,
        default_dimensions={DIMENSION: deployment},
        service="",
        metadata_set={"service": SERVICE, "instance_id": instance_id, "job_id": job_id},
    )
    for metric, value in measures.items():
        provider.add_metric(metric.name, metric.unit, round(value, 6))
    return json.dumps(provider.serialize_metric_set())


def log_to_journal() -> None:
    """Text on stdout, and faults that would end the process or a thread by their kind and place alone."""
    journal = logging.StreamHandler(sys.stdout)
    journal.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[journal])
    keep_to_own_words()
    logging.getLogger("botocore").setLevel(logging.WARNING)
    logging.raiseExceptions = False  # a line that can't be written is not shown with its trace instead
    threading.excepthook = _log_thread_fault


def ship_logs(client: CloudWatchLogsClient, settings: AgentSettings, identity: Identity) -> Telemetry:
    """From here on, what is logged goes to the deployment's log group too, into a stream named after the instance."""
    stream = LogStream(client, settings.log_group, identity.instance_id)
    shipper = Shipper(stream, _lost_line)
    logging.getLogger().addHandler(ShippingHandler(shipper, identity.instance_id))
    return Telemetry(shipper, settings.deployment, identity.instance_id)


def end_process(status: int) -> None:
    """The end of a process that may hang: its last lines first, as far as ``LAST_WORDS_S`` reaches, then nothing."""
    last_words = threading.Thread(target=logging.shutdown, daemon=True)
    last_words.start()
    last_words.join(LAST_WORDS_S + 1.0)
    os._exit(status)


def log_fault(what: str, error: BaseException) -> None:
    """A fault that nobody foresaw: its kind and where it came from, never its text."""
    log.error("%s: %s (%s)", what, type(error).__name__, places_of(error))


def _log_thread_fault(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is not None:
        log_fault(f"the thread {arguments.thread.name if arguments.thread else '?'} ended", arguments.exc_value)


def _lost_line(count: int) -> Line:
    record = logging.makeLogRecord(
        {"name": __name__, "levelname": "WARNING", "msg": f"{count} log lines got lost", "log_lines_lost": count}
    )
    return Line(_now_ms(), LambdaPowertoolsFormatter(service=SERVICE, utc=True).format(record))


def _now_ms() -> int:
    return int(time.time() * 1_000)
