"""``python -m instance``: what the systemd unit starts on the image. When it ends, the machine powers off."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import boto3
from botocore.config import Config

from avskrift.asr import models
from avskrift.asr.engine import Engine, EngineConfig
from avskrift.errors import AvskriftError, ConfigurationError, ModelUnavailable
from avskrift.jobs.delivery import Outbox, WebhookSecrets
from avskrift.jobs.measures import Measures
from avskrift.jobs.model import Job
from avskrift.jobs.table import JobTable
from avskrift.webhooks.address import AddressRules
from avskrift.webhooks.send import WebhookSender
from instance.agent import Agent
from instance.departure import Departure
from instance.jobsqueue import MAX_WAIT_S
from instance.metadata import InstanceMetadata
from instance.services import Services, measure_nothing
from instance.settings import RETIRE_AT, AgentSettings, Identity
from instance.spotwatch import POLL_S, SpotWatch
from instance.telemetry import end_process, log_fault, log_to_journal, ship_logs
from instance.work import HandBack

log = logging.getLogger("instance")
MODEL_LOAD_LIMIT_S = 600.0
LONG_POLL_TIMEOUT_S = MAX_WAIT_S + 10
STOP_GRACE_S = 30.0
"""After the maximum life, how long a polite stop may take before the process ends itself."""


class Engines:
    """The engine with the deployment's model, exchanged when a job asks for another one or another style."""

    def __init__(self, model: str, device: str) -> None:
        self._default = model
        self._device = device
        self._loaded: tuple[str, str] | None = None
        self._engine: Engine | None = None

    def engine_for(self, model: str | None, style: str) -> Engine:
        """Raises ``ModelUnavailable``, ``BadOptions`` for a style that the model does not have.

        What a job asks for must lie on this image: nothing is fetched on its behalf.
        """
        wanted = (model or self._default, style)
        if (model or style != "standard") and models.find_local(wanted[0], style=style) is None:
            raise ModelUnavailable(_not_on_the_image(*wanted, self._default))
        if self._engine is None or wanted != self._loaded:
            self.close()
            engine = Engine(EngineConfig(model=wanted[0], style=style, device=self._device, require_confinement=True))
            engine.start()
            self._engine, self._loaded = engine, wanted
        return self._engine

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None


def _not_on_the_image(model: str, style: str, default: str) -> str:
    if style == "standard":
        return f"the image has no {model!r}. Leave the option out to use {default!r}."
    return f"the image has no {model!r} of style {style!r}. Leave the style out, or put it there as {model}-{style}."


def services_for(
    settings: AgentSettings,
    identity: Identity,
    engine_for: Callable[[str | None, str], Engine],
    booted_at: float,
    measure: Callable[[Measures, Job], None] = measure_nothing,
) -> Services:
    """The clients of one agent, with this instance's role."""
    session = boto3.Session(region_name=settings.region)
    config = Config(retries={"mode": "standard", "max_attempts": 4}, connect_timeout=5, read_timeout=10)
    table = JobTable(session.client("dynamodb", config=config), settings.table)
    sqs = session.client("sqs", config=config.merge(Config(read_timeout=LONG_POLL_TIMEOUT_S)))
    outbox = Outbox(
        table=table,
        secrets=WebhookSecrets(session.client("secretsmanager", config=config), settings.secret_id),
        sender=WebhookSender(AddressRules(allow_loopback=settings.insecure_callbacks)),
        sqs=sqs,
        queue_url=settings.outbox_queue_url,
    )
    return Services(
        settings=settings,
        identity=identity,
        table=table,
        s3=session.client("s3", config=config.merge(_s3_config())),
        sqs=sqs,
        outbox=outbox,
        engine_for=engine_for,
        booted_at=booted_at,
        measure=measure,
    )


def telemetry_for(settings: AgentSettings, identity: Identity) -> Callable[[Measures, Job], None]:
    """Ship what is logged from here on, and return what numbers go to; one try a batch, the shipper has its own."""
    if not settings.log_group:
        return measure_nothing
    config = Config(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=3, read_timeout=5)
    client = boto3.Session(region_name=settings.region).client("logs", config=config)
    return ship_logs(client, settings, identity).measure


def _s3_config() -> Config:
    """Links to the regional host: for a new bucket the global one redirects, and a signature dies of it."""
    is_emulated = "AWS_ENDPOINT_URL" in os.environ
    return Config(
        signature_version="s3v4", s3={"addressing_style": "path" if is_emulated else "virtual"}, read_timeout=30
    )


class Life:
    """The in-guest end of life: no new job near it, then a polite stop, then the end of the process itself.

    systemd's timer is the second guard. A job begun shortly before the end must not pay for the age of its machine.
    """

    def __init__(self, max_life_s: float) -> None:
        self._max_life_s = max_life_s
        self.agent: Agent | None = None

    def begin(self) -> None:
        for after_s, act in ((RETIRE_AT * self._max_life_s, self._retire), (self._max_life_s, self._end)):
            timer = threading.Timer(after_s, act)
            timer.daemon = True
            timer.start()

    def _retire(self) -> None:
        if self.agent:
            log.warning("near the maximum life of %.0f s: claiming no more", self._max_life_s)
            self.agent.retire()

    def _end(self) -> None:
        log.error("maximum life of %.0f s reached", self._max_life_s)
        if self.agent:
            self.agent.stop(HandBack.OVERDUE)
            time.sleep(STOP_GRACE_S)
        end_process(1)


@contextmanager
def time_limit(limit_s: float, what: str) -> Iterator[None]:
    """End the process, and so the machine, if ``what`` takes longer: a driver that hangs raises nothing."""

    def give_up() -> None:
        log.error("%s took longer than %.0f s", what, limit_s)
        end_process(1)

    timer = threading.Timer(limit_s, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def load(engine_for: Callable[[str | None, str], Engine]) -> None:
    """The deployment's own model: nothing is claimed before it is known to load.

    Raises ``ModelUnavailable``, which may quote any fault: no job's words were heard yet.
    """
    try:
        engine_for(None, "standard")
    except ModelUnavailable:
        raise
    except AvskriftError as error:
        raise ModelUnavailable(f"The model could not be loaded: {error.code}: {error.message}") from error


def stop_on_signals(agent: Agent) -> None:
    """In a thread of its own: a handler interrupts the main thread, which may hold the very lock it would wait for."""

    def stop(*_: object) -> None:
        threading.Thread(target=agent.stop, name="signal", daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def watch_for(agent: Agent, poll_s: float) -> SpotWatch:
    """What EC2 announces, and what the agent does about it."""
    departure = Departure(agent.abandon)

    def leave(left_s: float) -> None:
        departure.begin(left_s)
        agent.stop(HandBack.INTERRUPTED)

    return SpotWatch(InstanceMetadata(), on_notice=leave, on_risk=agent.retire, poll_s=poll_s)


def run(booted_at: float) -> None:
    metadata = InstanceMetadata()
    settings = AgentSettings.from_user_data(metadata.require("user-data"))
    life = Life(settings.max_life_s)
    life.begin()
    identity = Identity.read(metadata)
    measure = telemetry_for(settings, identity)
    log.info("instance %s (%s, %s)", identity.instance_id, identity.instance_type, identity.market)
    engines = Engines(settings.model, settings.device)

    def engine_for(model: str | None, style: str) -> Engine:
        with time_limit(MODEL_LOAD_LIMIT_S, "loading the model"):
            return engines.engine_for(model, style)

    try:
        load(engine_for)
        agent = life.agent = Agent(services_for(settings, identity, engine_for, booted_at, measure))
        stop_on_signals(agent)
        with watch_for(agent, poll_s=min(POLL_S, settings.heartbeat_s)):
            agent.run()
    finally:
        engines.close()


def main() -> int:
    log_to_journal()
    try:
        run(booted_at=round(time.time(), 3))
    except (ConfigurationError, ModelUnavailable) as error:
        log.error("%s: %s", error.code, error.message)
        return 1
    except Exception as error:  # noqa: BLE001  (its text may name keys and addresses, and goes nowhere)
        log_fault("the agent ended by a fault that nobody foresaw", error)
        return 1
    finally:
        logging.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
