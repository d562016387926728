"""The real CDK command line deploying the real stack into the emulator.

Synthesis needs no cloud, so it runs while the emulator starts and is bootstrapped.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from avskrift.errors import LocalCloudError
from avskrift.local.aws import ACCOUNT_ID, REGION, client, client_environment, plain_environment
from avskrift.local.ec2.catalog import IMAGE_ID
from avskrift.local.journal import StepFailed
from avskrift.local.processes import Launch, TetheredProcess
from avskrift.local.tls import Tls

AMI_ID = IMAGE_ID
"""What the AMI parameter says here; nothing boots from it."""

#: How the stack is set for one machine, unless the caller says otherwise.
LOCAL_CONTEXT: Mapping[str, str] = {
    "local": "true",
    "region": REGION,
    "model": "base",
    "device": "cpu",
    "linger_s": "5",
    "heartbeat_s": "2",
    "lease_s": "30",
}


@dataclass(frozen=True)
class DeploySettings:
    checkout: Path
    """Where ``cdk.json``, ``infra/`` and ``node_modules/`` lie."""
    folder: Path
    """Ours: logs, the cloud assembly, temporary files."""
    endpoint: str
    ec2_endpoint: str
    tls: Tls | None = None
    """What to trust where ``endpoint`` is https."""
    context: Mapping[str, str] = field(default_factory=dict)
    """CDK context beside and above :data:`LOCAL_CONTEXT`."""
    region: str = REGION
    account_id: str = ACCOUNT_ID


class Deployment:
    """Bootstrap, synthesize, deploy: in that order, or the second while the first runs."""

    def __init__(self, settings: DeploySettings) -> None:
        self._settings = settings
        self._assembly = settings.folder / "cdk.out"
        self._outputs = settings.folder / "outputs.json"
        self._temporary = settings.folder / "cdk-tmp"
        self._cdk = settings.checkout / "node_modules" / ".bin" / "cdk"
        self._context = {**LOCAL_CONTEXT, **settings.context}
        self._synthesis: TetheredProcess | None = None
        if not self._cdk.exists():
            raise LocalCloudError(
                f"The CDK command line is not installed in {settings.checkout}: run `npm ci` there with the Node of "
                "the virtual environment (scripts/demo and scripts/test do)."
            )

    def begin_synthesis(self) -> None:
        """Start turning the code into a cloud assembly, in the background."""
        self._temporary.mkdir(parents=True, exist_ok=True)
        context = [part for name, value in self._context.items() for part in ("-c", f"{name}={value}")]
        app = f"{shlex.quote(sys.executable)} -m infra"
        self._synthesis = self._start("synth", ["synth", "--quiet", "--app", app, "-o", str(self._assembly), *context])

    def end_synthesis(self) -> None:
        """Wait for it. Raises :class:`StepFailed`."""
        if self._synthesis is None:
            self.begin_synthesis()
        if self._synthesis is not None and self._synthesis.wait() != 0:
            log = self._synthesis.log
            raise StepFailed(f"Synthesizing the stack failed; its log is {log}.", log)

    def bootstrap(self) -> None:
        """Give the empty account what every CDK deployment needs."""
        settings = self._settings
        environment = f"aws://{settings.account_id}/{settings.region}"
        self._run("bootstrap", ["bootstrap", environment, "--app", ""], "Bootstrapping the account")

    def create_ami_parameter(self) -> None:
        """The parameter that the stack never creates."""
        name = self._context.get("ami_parameter") or f"/avskrift/{self._context.get('name', 'avskrift')}/ami"
        settings = self._settings
        ca_bundle = settings.tls.bundle if settings.tls else None
        client("ssm", settings.endpoint, settings.region, ca_bundle).put_parameter(
            Name=name, Value=AMI_ID, Type="String", Overwrite=True
        )

    def deploy(self) -> dict[str, str]:
        """Deploy the synthesized stack and return its outputs. Raises :class:`StepFailed`."""
        arguments = ["deploy", "--app", str(self._assembly), "--require-approval", "never"]
        self._run("deploy", [*arguments, "--outputs-file", str(self._outputs)], "Deploying the stack")
        stacks = json.loads(self._outputs.read_text(encoding="utf-8"))
        return {name: value for outputs in stacks.values() for name, value in outputs.items()}

    def stop(self) -> None:
        if self._synthesis is not None:
            self._synthesis.kill()

    def _run(self, name: str, arguments: Sequence[str], what: str) -> None:
        process = self._start(name, arguments)
        try:
            if process.wait() != 0:
                raise StepFailed(f"{what} failed; its log is {process.log}.", process.log)
        finally:
            process.kill()

    def _start(self, name: str, arguments: Sequence[str]) -> TetheredProcess:
        settings = self._settings
        log = settings.folder / f"{name}.log"
        command = [str(self._cdk), *arguments, "--no-notices"]
        return TetheredProcess(Launch(command, self._environment(), settings.checkout, log))

    def _environment(self) -> dict[str, str]:
        settings = self._settings
        plain = plain_environment()
        binaries = Path(sys.executable).parent
        return {
            **plain,
            **client_environment(settings.endpoint, settings.ec2_endpoint, settings.region, settings.tls),
            "PATH": f"{binaries}:{plain.get('PATH', '/usr/bin:/bin')}",
            "PYTHONPATH": str(settings.checkout),
            "TMPDIR": str(self._temporary),
            "CI": "true",
            "CDK_DISABLE_CLI_TELEMETRY": "1",
            "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
            "NO_COLOR": "1",
        }
