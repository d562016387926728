"""The AWS emulator (``ministack``) as a child process: loopback only, a free port, its litter in a folder of ours.

It runs the stack's Lambdas as children that inherit its environment; that is how they come to talk to the EC2 proxy.

An emulator that enforces checks every signature and every policy, for which its clients need TLS: bucket and queue
policies refuse plain HTTP. Its own command would also listen on port 443; its server's command (hypercorn) does not.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from avskrift.errors import LocalCloudError
from avskrift.local.aws import ACCOUNT_ID, REGION, client, plain_environment
from avskrift.local.loopback import fetch
from avskrift.local.processes import LOOPBACK, Launch, TetheredProcess, await_condition, free_port
from avskrift.local.tls import Tls

_START_TIMEOUT_S = 60.0
_STOP_GRACE_S = 2.0
_PROBE_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class EmulatorSettings:
    folder: Path
    """Ours alone: holds the log, and a temporary folder that is removed on stop."""
    port: int
    """Where it listens on loopback (see :func:`avskrift.local.processes.free_port`)."""
    ec2_endpoint: str | None = None
    """What the Lambdas use for EC2 instead of the emulator's own."""
    enforcing: bool = False
    """Check signatures and policies, and speak TLS."""
    region: str = REGION
    account_id: str = ACCOUNT_ID


class Emulator:
    """Start on entry, everything stopped and removed on exit."""

    def __init__(self, settings: EmulatorSettings) -> None:
        self.settings = settings
        self.tls = Tls(settings.folder / "tls") if settings.enforcing else None
        self.inner_endpoint = f"http://{LOOPBACK}:{free_port() if settings.enforcing else settings.port}"
        """Plain HTTP, for what belongs to the emulator: the EC2 proxy and the shim. Buckets and queues refuse it."""
        self.endpoint = f"https://{LOOPBACK}:{settings.port}" if settings.enforcing else self.inner_endpoint
        self.log = settings.folder / "emulator.log"
        self._temporary = settings.folder / "emulator-tmp"
        self._process: TetheredProcess | None = None

    @classmethod
    def on_free_port(cls, folder: Path, ec2_endpoint: str | None = None, enforcing: bool = False) -> Emulator:
        return cls(EmulatorSettings(folder=folder, port=free_port(), ec2_endpoint=ec2_endpoint, enforcing=enforcing))

    def start(self) -> None:
        """Raises :class:`LocalCloudError` when it isn't ready in time or ends at once."""
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir(parents=True)
        if self.tls is not None:
            self.tls.make()
        self._process = TetheredProcess(Launch(self._command(), self._environment(), self._temporary, self.log))
        try:
            await_condition(self._ready, _START_TIMEOUT_S, f"The start of the emulator (log: {self.log})")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop(_STOP_GRACE_S)  # it often ignores SIGTERM
            self._process = None
        shutil.rmtree(self._temporary, ignore_errors=True)

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def client(self, service: str) -> Any:
        return client(service, self.endpoint, self.settings.region, self.ca_bundle)

    @property
    def ca_bundle(self) -> Path | None:
        """What clients of :attr:`endpoint` must trust; None for plain HTTP."""
        return self.tls.bundle if self.tls is not None else None

    def _command(self) -> list[str]:
        programs = Path(sys.executable).parent
        if self.tls is None:
            return [str(programs / "ministack")]
        outer, inner = (urlsplit(endpoint).netloc for endpoint in (self.endpoint, self.inner_endpoint))
        return [
            *(str(programs / "hypercorn"), "ministack.app:app", "--workers", "0", "--keep-alive", "75"),
            *("--bind", outer, "--certfile", str(self.tls.certificate), "--keyfile", str(self.tls.key)),
            *("--insecure-bind", inner),
        ]

    def _environment(self) -> dict[str, str]:
        settings = self.settings
        environment = plain_environment() | {
            "BIND_HOST": LOOPBACK,
            "GATEWAY_PORT": str(settings.port),
            "MINISTACK_ACCOUNT_ID": settings.account_id,
            "MINISTACK_REGION": settings.region,
            "MINISTACK_IMDS_V2_REQUIRED": "1",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "TMPDIR": str(self._temporary),
            "STATE_DIR": str(self._temporary / "state"),
            "S3_DATA_DIR": str(self._temporary / "s3"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "PYTHONUNBUFFERED": "1",
        }
        if settings.ec2_endpoint is not None:
            environment["AWS_ENDPOINT_URL_EC2"] = settings.ec2_endpoint
        if self.tls is not None:
            environment |= {"AUTH": "true", "AWS_ENDPOINT_URL": self.endpoint, **self.tls.environment()}
        return environment

    def _ready(self) -> bool:
        if not self.alive():
            raise LocalCloudError(f"The emulator ended while starting; its log is {self.log}.")
        try:
            return (
                fetch("GET", f"{self.inner_endpoint}/_ministack/ready", timeout_s=_PROBE_TIMEOUT_S)[0] == HTTPStatus.OK
            )
        except OSError:
            return False

    def __enter__(self) -> Emulator:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
