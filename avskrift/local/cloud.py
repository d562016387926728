"""The handle on a local cloud, for the command line, the demo and the tests.

>>> with Cloud.up(CloudSettings(folder=folder)) as cloud:
...     cloud.client("s3").upload_file(path, cloud.outputs["BucketName"], "uploads/a.mp3")
...     cloud.instances()
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import boto3
import botocore.session
from botocore.config import Config

from avskrift.errors import LocalCloudError
from avskrift.local.aws import client, client_environment, plain_environment
from avskrift.local.ec2.faults import Fault
from avskrift.local.journal import READY, JournalReader, Step, StepFailed
from avskrift.local.lock import exclusive, is_held
from avskrift.local.loopback import fetch
from avskrift.local.processes import await_condition
from avskrift.local.settings import DEFAULT_FOLDER, CloudSettings, Files
from avskrift.local.tls import Tls

_UP_TIMEOUT_S = 300.0
_DOWN_TIMEOUT_S = 60.0
_CONTROL_TIMEOUT_S = 30.0

__all__ = ["Cloud", "CloudSettings", "InstanceView", "Step", "StepFailed", "left_running"]


@dataclass(frozen=True)
class InstanceView:
    """One instance that the stack launched."""

    instance_id: str
    state: str
    """``pending``, ``running``, ``shutting-down``, ``terminated``, ``stopped``."""
    market: str
    """``spot`` or ``on-demand``."""
    instance_type: str
    zone: str
    launched_at: str
    """ISO 8601, UTC."""
    reason: str | None
    """Why it ended, as an EC2 state reason code."""
    log: str
    """What its agent wrote."""


class Cloud:
    """A cloud that is up. Made by :meth:`up` or :meth:`attach`."""

    def __init__(self, folder: Path, supervisor: subprocess.Popen[bytes] | None = None) -> None:
        self.folder = folder
        self._supervisor = supervisor
        self._state = _read_state(folder)

    @classmethod
    def up(
        cls,
        settings: CloudSettings | None = None,
        on_step: Callable[[Step], None] = lambda step: None,
    ) -> Cloud:
        """Start a cloud and wait until it is ready; ``on_step`` hears of each step as it begins and ends.

        Raises :class:`LocalCloudError` when one is up in that folder already, and :class:`StepFailed` when a step
        fails (then nothing is left running).
        """
        settings = settings or CloudSettings()
        if settings.tied and settings.tied_to is None:
            settings = replace(settings, tied_to=os.getpid())
        with exclusive(settings.folder) as lock:
            Files(settings.folder).clear()
            settings.save()
            supervisor = _start_supervisor(settings, lock)
        try:
            _follow(settings.folder, supervisor, on_step)
        except BaseException:
            _end(supervisor)
            raise
        return cls(settings.folder, supervisor)

    @classmethod
    def attach(cls, folder: Path | None = None) -> Cloud:
        """The cloud that is up in ``folder`` (the checkout's own); :class:`LocalCloudError` when there is none."""
        folder = folder or DEFAULT_FOLDER
        if not is_held(folder) or not Files(folder).state.exists():
            raise LocalCloudError("No local cloud is up: `avskrift cloud up` starts one.")
        return cls(folder)

    @property
    def outputs(self) -> dict[str, str]:
        """The stack's outputs."""
        return dict(self._state["outputs"])

    @property
    def endpoint(self) -> str:
        return str(self._state["endpoint"])

    def environment(self) -> dict[str, str]:
        """Variables for any AWS SDK or command line: add them to a process' environment."""
        state = self._state
        return client_environment(state["endpoint"], state["ec2_endpoint"], state["region"], self.tls)

    @property
    def tls(self) -> Tls | None:
        """What to trust where the cloud enforces, and so is reached by https."""
        return Tls(self.folder / "tls") if self._state["enforcing"] else None

    def client(self, service: str) -> Any:
        """A boto3 client on this cloud."""
        endpoint = self._state["ec2_endpoint"] if service == "ec2" else self._state["endpoint"]
        return client(service, endpoint, self._state["region"], self.tls.bundle if self.tls else None)

    def session(self) -> boto3.session.Session:
        """A boto3 session whose clients all talk to this cloud, whatever the environment says of credentials."""
        core = botocore.session.Session()
        core.set_config_variable("config_file", str(Files(self.folder).aws_config))
        core.set_config_variable("credentials_file", os.devnull)
        core.set_config_variable("profile", "default")
        if self.tls:
            core.set_config_variable("ca_bundle", str(self.tls.bundle))
        core.set_default_client_config(Config(proxies={}))
        return boto3.session.Session("test", "test", region_name=self._state["region"], botocore_session=core)

    def webhook_secrets(self) -> list[str]:
        """The deployment's signing secrets, ``whsec_…``, the present one first."""
        secret = self.client("secretsmanager").get_secret_value(SecretId=self.outputs["SecretId"])
        values = json.loads(secret["SecretString"])
        return [f"whsec_{values[name]}" for name in ("current", "previous") if values.get(name)]

    def status(self) -> dict[str, Any]:
        return self._ask("GET", "/status")

    def instances(self) -> list[InstanceView]:
        """All that were launched, in order, the terminated included."""
        return [InstanceView(**one) for one in self.status()["instances"]]

    def interrupt(self, instance_id: str, notice_s: float | None = None) -> dict[str, Any]:
        """Give a spot instance its two-minute notice (or one of ``notice_s``)."""
        return self._ask("POST", "/interrupt", {"instance_id": instance_id, "notice_s": notice_s})

    def recommend_rebalance(self, instance_id: str) -> None:
        self._ask("POST", "/rebalance", {"instance_id": instance_id})

    def assume(self, role_arn: str) -> dict[str, Any]:
        """Credentials (``AccessKeyId`` …) with a role's rights; only in a cloud that enforces."""
        return self._ask("POST", "/assume", {"role_arn": role_arn})

    def inject_fault(self, fault: Fault) -> None:
        """Let coming EC2 answers fail; see :class:`~avskrift.local.ec2.faults.Fault`."""
        self._ask("POST", "/faults", asdict(fault))

    def clear_faults(self) -> None:
        self._ask("POST", "/faults/clear", {})

    @property
    def log_path(self) -> Path:
        """What the supervisor wrote; :meth:`logs` are all there are."""
        return Files(self.folder).supervisor_log

    def logs(self) -> list[Path]:
        return Files(self.folder).logs()

    def down(self) -> None:
        """End everything and wait until it is gone; the logs stay. Not an error when it is gone already."""
        if is_held(self.folder):
            with suppress(LocalCloudError):
                self._ask("POST", "/stop", {})
        try:
            await_condition(lambda: not is_held(self.folder), _DOWN_TIMEOUT_S, "The end of the local cloud")
        except LocalCloudError:
            os.kill(int(self._state["pid"]), 9)  # it holds the lock, so the number is still its own
            await_condition(lambda: not is_held(self.folder), _DOWN_TIMEOUT_S, "The end of the local cloud")
        if self._supervisor is not None:
            self._supervisor.wait()

    def left_running(self) -> list[str]:
        """Processes of this cloud that still run, as ``pid command``: none, after :meth:`down`."""
        return left_running(self.folder)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._state['token']}"}
        content = b"" if body is None else json.dumps(body).encode()
        try:
            status, answer = fetch(method, self._state["control_url"] + path, content, headers, _CONTROL_TIMEOUT_S)
        except OSError as error:
            raise LocalCloudError(f"The local cloud in {self.folder} does not answer: {error}") from error
        values: dict[str, Any] = json.loads(answer)
        if status != 200:
            raise LocalCloudError(values.get("message", f"status {status}"))
        return values

    def __enter__(self) -> Cloud:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()


def left_running(folder: Path) -> list[str]:
    """Processes that a cloud in ``folder`` started: those whose temporary folder lies in it (Linux only)."""
    mark = f"TMPDIR={folder}/".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(entry.startswith(mark) for entry in (process / "environ").read_bytes().split(b"\0")):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
                found.append(f"{process.name} {command}")
    return found


def _start_supervisor(settings: CloudSettings, lock: int) -> subprocess.Popen[bytes]:
    files = Files(settings.folder)
    with files.supervisor_log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "avskrift.local.supervisor", str(settings.folder), str(lock)],
            cwd=settings.checkout,
            env=plain_environment() | {"PYTHONPATH": str(settings.checkout)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(lock,),
        )


def _end(supervisor: subprocess.Popen[bytes]) -> None:
    supervisor.terminate()
    try:
        supervisor.wait(_DOWN_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        supervisor.kill()
        supervisor.wait()


def _follow(folder: Path, supervisor: subprocess.Popen[bytes], on_step: Callable[[Step], None]) -> None:
    """Until the supervisor reports that it is ready; raises with the step that failed."""
    reader = JournalReader(Files(folder).journal)

    def is_ready() -> bool:
        ended = _has_ended(supervisor)  # looked at first: what it wrote before its end is still read
        steps = reader.follow(on_step)
        for step in steps:
            if step.state == "failed":
                raise StepFailed(step.message, Path(step.log) if step.log else Files(folder).supervisor_log)
        if ended:
            log = Files(folder).supervisor_log
            raise StepFailed(f"The local cloud ended while starting; its log is {log}.", log)
        return any(step.name == READY for step in steps)

    await_condition(is_ready, _UP_TIMEOUT_S, "The start of the local cloud")


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Not by its ``poll``: an interrupt in the middle of that leaves a lock taken, and ``wait`` then waits forever."""
    look = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return process.returncode is not None or os.waitid(os.P_PID, process.pid, look) is not None


def _read_state(folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(Files(folder).state.read_text(encoding="utf-8"))
    return state
