"""A function's built asset in AWS' own runtime client, which asks a small Runtime API on loopback for events.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avskrift.local.loopback import Handler, LoopbackServer

_PREFIX = "/2018-06-01/runtime/"
#: What the runtime brings itself; whatever else a function imports must lie in its asset.
_RUNTIME_MODULES = ("boto3", "botocore", "s3transfer", "dateutil", "six.py", "jmespath", "urllib3")
_CLIENT_MODULES = ("awslambdaric", "simplejson", "snapshot_restore_py.py")
_ANSWER_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Answer:
    """What a function made of an event."""

    kind: str
    """``response``, or ``error`` for an exception that left the handler."""
    value: Any


def runtime_folder(folder: Path) -> Path:
    """Lambda's ``/var/runtime``: links to what lies there, and to nothing else of this environment."""
    import awslambdaric

    installed = Path(awslambdaric.__file__).parents[1]
    names = [*_RUNTIME_MODULES, *_CLIENT_MODULES, *(path.name for path in installed.glob("runtime_client*.so"))]
    for name in names:
        (folder / name).symlink_to(installed / name)
    return folder


class FunctionProcess:
    """One function, cold until its first event and warm afterwards."""

    def __init__(self, handler: str, asset: Path, runtime: Path, environment: Mapping[str, str], log: Path) -> None:
        self._events: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self._answers: queue.Queue[Answer] = queue.Queue()
        self._server = LoopbackServer(_handler_for(self._events, self._answers))
        self._server.start()
        self._log = log
        program = f"import sys; sys.path[:0] = {[str(asset), str(runtime)]}; from awslambdaric.__main__ import main; "
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-c", f"{program}main(['', {handler!r}])"],
                cwd=asset,
                env=self._environment(handler, asset, environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def invoke(self, event: Any) -> Answer:
        """Hand one event over and wait for what comes of it."""
        self._events.put((str(uuid.uuid4()), event))
        try:
            return self._answers.get(timeout=_ANSWER_TIMEOUT_S)
        except queue.Empty as error:
            raise AssertionError(f"The function did not answer. It wrote: {self.log()}") from error

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def lines(self) -> list[dict[str, Any]]:
        """The JSON lines that it wrote."""
        return [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._server.stop()

    def _environment(self, handler: str, asset: Path, environment: Mapping[str, str]) -> dict[str, str]:
        return {
            "PATH": os.defpath,
            "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.port}",
            "AWS_LAMBDA_FUNCTION_NAME": handler.split(".")[1],
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/group",
            "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.11",
            "LAMBDA_TASK_ROOT": str(asset),
            **environment,
        }


def _handler_for(events: queue.Queue[tuple[str, dict[str, Any]]], answers: queue.Queue[Answer]) -> type[Handler]:
    class RuntimeApi(Handler):
        def do_GET(self) -> None:
            assert self.path == f"{_PREFIX}invocation/next"
            request_id, event = events.get()
            headers = {
                "Lambda-Runtime-Aws-Request-Id": request_id,
                "Lambda-Runtime-Deadline-Ms": str(int(time.time() * 1_000) + 30_000),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-north-1:123456789012:function:f",
            }
            self.respond(200, json.dumps(event).encode(), "application/json", headers)

        def do_POST(self) -> None:
            body = json.loads(self.read_body() or b"null")
            self.respond(202, b"")
            answers.put(Answer(self.path.rpartition("/")[2], body))

    return RuntimeApi
