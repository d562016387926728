"""The deployment of the tests of faults, whose strangers write words into everything that is theirs to write."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from awslambdaric.bootstrap import LambdaLoggerFilter, LambdaLoggerHandler
from botocore.exceptions import ConnectionClosedError

from avskrift.jobs.layout import job_id_for
from avskrift.jobs.model import Job
from avskrift.own_words import OwnWords
from avskrift.transcript import Segment, Transcript
from instance.telemetry import ShippingHandler
from tests.faults import world as world_module
from tests.faults.conftest import clock, shared_receiver, wire, world
from tests.faults.wire import Wire
from tests.faults.world import ScriptedEngine, World

__all__ = ["clock", "shared_receiver", "wire", "world"]

SOURCES = ("key", "metadata", "prompt", "hotwords", "name", "transcript", "query", "answer", "fault", "worker")
WORDS = {source: f"kanarie-{source}-7f3a" for source in SOURCES}
"""One for each place that a stranger's words come from."""
KEY = f"uploads/{WORDS['key']}/Åsa +.mp3"
LEAKY = f"https://recordings.s3.example/{quote(KEY)}?x={WORDS['fault']} {KEY} {WORDS['query']}"
"""What the SDK's own texts name: addresses, keys, parameters."""


def words_in(text: str) -> set[str]:
    """The sources whose words stand in it."""
    return {source for source, word in WORDS.items() if word in text}


@dataclass
class Lines:
    """Everything that the functions and the agent wrote anywhere that is kept."""

    read_rest: Callable[[], str]
    written: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        self.written.append(self.read_rest())
        return "\n".join(self.written)

    def put(self, line: Any) -> None:
        """As the agent's shipper takes them."""
        self.written.append(line.text)

    def count_lost(self, lines: int = 1) -> None:
        raise AssertionError("a line could not be written")

    def close(self) -> None: ...


class Kept(logging.Handler):
    """What is logged, as the logger's own handler would write it."""

    def __init__(self, lines: Lines, formatter: logging.Formatter | None) -> None:
        super().__init__()
        self._lines = lines
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.written.append(self.format(record))


class Sink:
    """Where Lambda's own handler writes."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def log(self, line: str) -> None:
        self._lines.written.append(line)


def handler_of_lambda(lines: Lines) -> logging.Handler:
    """What Lambda's runtime puts on the root logger before it imports a function, unfiltered, as text."""
    handler = LambdaLoggerHandler(Sink(lines))
    handler.setFormatter(logging.Formatter("[%(levelname)s]\t%(asctime)s\t%(aws_request_id)s\t%(message)s\n"))
    handler.addFilter(LambdaLoggerFilter())
    return handler


@pytest.fixture
def lines(world: World, capfd: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """What Powertools and Lambda's handler write of the functions; what the agent ships, and writes to its journal."""

    def rest() -> str:
        captured = capfd.readouterr()
        return captured.out + captured.err

    kept = Lines(rest)
    loggers = [(module.logger, Kept(kept, module.logger.registered_formatter)) for module in world.functions.values()]
    shipping: Any = ShippingHandler(kept, "i-1")  # type: ignore[arg-type]
    journal = Kept(kept, logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    journal.addFilter(OwnWords())
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.INFO)
    loggers += [(root, handler_of_lambda(kept)), (root, shipping), (root, journal)]  # Lambda's sees what came first
    for logger, handler in loggers:
        logger.addHandler(handler)
    yield kept
    for logger, handler in loggers:
        logger.removeHandler(handler)
    root.setLevel(level)


class TalkingEngine(ScriptedEngine):
    """Hears words that nobody else should, unless it is told to fail first."""

    faults: list[Exception] = []  # noqa: RUF012 (emptied by the fixture)

    def transcribe(self, path: Path, options: Any, on_progress: Any = None, *_: Any, **__: Any) -> Transcript:
        if self.faults:
            raise self.faults.pop(0)
        return Transcript("sv", 2.0, 1.5, "scripted", (Segment(0.0, 1.5, WORDS["transcript"]),))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> type[TalkingEngine]:
    monkeypatch.setattr(world_module, "ScriptedEngine", TalkingEngine)
    monkeypatch.setattr(TalkingEngine, "faults", [])
    return TalkingEngine


class LeakyWire(Wire):
    """The first call of each kind fails, and the fault says what it was about."""

    is_failing = False

    def _is_due(self, call: tuple[str, str, str]) -> bool:
        super()._is_due(call)
        return self.is_failing and self.calls[call] == 1

    def _fail(self, model: Any, service: str, context: dict[str, Any]) -> Any:
        self.hits += 1
        raise ConnectionClosedError(endpoint_url=LEAKY)


@pytest.fixture
def leaky(world: World, monkeypatch: pytest.MonkeyPatch) -> LeakyWire:
    monkeypatch.setattr(world.wire, "__class__", LeakyWire)
    assert isinstance(world.wire, LeakyWire)
    return world.wire


class TalkingReceiver:
    """Answers with its statuses in turn, then 200, and always says something; if told to, in headers that are none."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.paths: list[str] = []
        self.is_broken = False
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                receiver.paths.append(self.path)
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                if receiver.is_broken:
                    self.wfile.write(b"".join(self._headers_buffer) + f"{WORDS['answer']}\r\n".encode())
                    self._headers_buffer.clear()
                self.end_headers()
                self.wfile.write(f"we got {WORDS['answer']}".encode())

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?token={WORDS['query']}"


@pytest.fixture
def receiver(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[TalkingReceiver]:
    made = TalkingReceiver()
    threading.Thread(target=made.server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("AVSKRIFT_CALLBACK_URL", made.url)
    yield made
    made.server.shutdown()
    made.server.server_close()


def registered(world: World) -> Job:
    """Such an upload's job, waiting."""
    job_id = upload(world)
    world._consume("uploads", "register")
    return world.job(job_id)


def upload(world: World, *, is_announced: bool = True, **options: str) -> str:
    """A recording with words in all that its client may say; ``options`` beside or instead."""
    said = {
        "prompt": WORDS["prompt"],
        "hotwords": WORDS["hotwords"],
        "metadata": json.dumps({"patient": WORDS["metadata"]}),
        **options,
    }
    metadata = {f"avskrift-{name}": quote(value) for name, value in said.items()}
    put = world.deployment.put(KEY, b"sound", **metadata)
    if is_announced:
        item = {"key": put.key, "size": put.size_bytes, "version-id": put.version_id}
        event = {"detail-type": "Object Created", "detail": {"bucket": {"name": put.bucket}, "object": item}}
        world.deployment.sqs.send_message(QueueUrl=world.queues["uploads"], MessageBody=json.dumps(event))
    return job_id_for(put.bucket, KEY, put.version_id)
