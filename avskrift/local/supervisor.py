"""The process that is the local cloud: ``python -m avskrift.local.supervisor FOLDER LOCK``.

It holds the EC2 proxy, the instance shim and the control door as threads, and the emulator and the agents as tethered
processes. When it ends, by whatever cause, all of them end. ``LOCK`` is the open file that
marks the folder as taken (lock.py).
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import sys
import threading
import uuid
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from avskrift.errors import LocalCloudError
from avskrift.local.aws import ACCOUNT_ID, REGION, aws_config, client
from avskrift.local.control import ControlServer
from avskrift.local.deploy import Deployment, DeploySettings
from avskrift.local.ec2.faults import Fault
from avskrift.local.ec2.server import Ec2Proxy
from avskrift.local.ec2.state import Instance
from avskrift.local.emulator import Emulator
from avskrift.local.iam.gate import Gate
from avskrift.local.journal import READY, Journal, Step
from avskrift.local.settings import CloudSettings, Files, write_private
from avskrift.local.shim import NOTICE_S, InstanceShim, ShimSettings, default_agent_command

logger = logging.getLogger(__name__)

_EMULATOR_CHECK_S = 1.0
_PARENT_CHECK_S = 0.5


class Supervisor:
    """Everything of one cloud; :meth:`bring_up` in order, then :meth:`serve` until the emulator or the process ends."""

    def __init__(self, settings: CloudSettings, stack: ExitStack) -> None:
        self._settings = settings
        self._files = Files(settings.folder)
        self._stack = stack
        self._journal = Journal(self._files.journal)
        self._proxy = Ec2Proxy()
        self._emulator = Emulator.on_free_port(settings.folder, self._proxy.url, settings.enforcing)
        self._shim: InstanceShim | None = None
        self._outputs: dict[str, str] = {}
        self._ready = False
        self._control = ControlServer(self)

    def bring_up(self) -> None:
        """Raises :class:`LocalCloudError` when a step fails; the journal says which."""
        self._stack.callback(self._files.clear_temporary)
        self._stack.callback(self._files.state.unlink, missing_ok=True)
        self._start_control()
        with self._journal.step("check the checkout"):
            deployment = self._deployment()
        with self._journal.step("start the emulator"):
            deployment.begin_synthesis()
            self._emulator.start()
            self._proxy.connect(self._emulator.inner_endpoint)
            if self._settings.enforcing:
                self._proxy.gate = self._gate()
            self._stack.enter_context(self._proxy)
        with self._journal.step("bootstrap the account"):
            deployment.bootstrap()
            deployment.create_ami_parameter()
        with self._journal.step("synthesize the stack"):
            deployment.end_synthesis()
        with self._journal.step("deploy the stack"):
            self._outputs = deployment.deploy()
        with self._journal.step("watch for instances"):
            self._start_shim()
        self._ready = True
        self._save_state()
        self._journal.write(Step(READY, "done"))
        logger.info("ready at %s, EC2 at %s", self._emulator.endpoint, self._proxy.url)

    def serve(self) -> None:
        """Until a signal ends the process; raises :class:`LocalCloudError` when the emulator dies."""
        pause = threading.Event()
        while not pause.wait(_EMULATOR_CHECK_S):
            if not self._emulator.alive():
                raise LocalCloudError(f"The emulator ended; its log is {self._emulator.log}.")

    def status(self) -> dict[str, Any]:
        """What ``avskrift cloud status`` shows."""
        return {
            "ready": self._ready,
            "pid": os.getpid(),
            "endpoint": self._emulator.endpoint,
            "inner_endpoint": self._emulator.inner_endpoint,
            "ec2_endpoint": self._proxy.url,
            "region": REGION,
            "account_id": ACCOUNT_ID,
            "enforcing": self._settings.enforcing,
            "folder": str(self._settings.folder),
            "outputs": self._outputs,
            "instances": [self._show(one) for one in self._proxy.state.instances()],
            "faults": len(self._proxy.faults.pending()),
        }

    def interrupt(self, instance_id: str, notice_s: float | None = None) -> dict[str, Any]:
        """Spot notice in the instance's metadata, and the event that EventBridge would bring to λ capacity."""
        taken_at = self._running_shim().interrupt(instance_id, NOTICE_S if notice_s is None else notice_s)
        detail = {"instance-id": instance_id, "instance-action": "terminate"}
        self._send_event("EC2 Spot Instance Interruption Warning", instance_id, detail)
        return {"instance_id": instance_id, "taken_at": taken_at.isoformat()}

    def recommend_rebalance(self, instance_id: str) -> dict[str, Any]:
        """Rebalance recommendation, in the metadata and as an event."""
        self._running_shim().recommend_rebalance(instance_id)
        self._send_event("EC2 Instance Rebalance Recommendation", instance_id, {"instance-id": instance_id})
        return {"instance_id": instance_id}

    def assume(self, role_arn: str) -> dict[str, Any]:
        """A session with a role's rights, which the EC2 proxy knows too."""
        if self._proxy.gate is None:
            raise LocalCloudError("This cloud checks no rights: start it with enforcing=True.")
        session = self._proxy.gate.assume_role(RoleArn=role_arn, RoleSessionName="session")["Credentials"]
        return {**session, "Expiration": session["Expiration"].isoformat()}

    def inject_fault(self, fault: Fault) -> None:
        self._proxy.inject(fault)

    def clear_faults(self) -> None:
        self._proxy.faults.clear()

    def _start_control(self) -> None:
        self._stack.enter_context(self._control)
        self._stack.callback(self._emulator.stop)
        self._save_state()

    def _deployment(self) -> Deployment:
        deployment = Deployment(
            DeploySettings(
                checkout=self._settings.checkout,
                folder=self._settings.folder,
                endpoint=self._emulator.endpoint,
                ec2_endpoint=self._proxy.url,
                tls=self._emulator.tls,
                context=self._settings.deploy_context(),
            )
        )
        self._stack.callback(deployment.stop)
        return deployment

    def _start_shim(self) -> None:
        shim = InstanceShim(
            ShimSettings(
                folder=self._files.instances,
                checkout=self._settings.checkout,
                endpoint=self._emulator.endpoint,
                inner_endpoint=self._emulator.inner_endpoint,
                region=REGION,
                agent_command=self._settings.agent_command or default_agent_command(),
                agent_environment={**self._trust(), **self._settings.agent_environment},
            ),
            self._proxy.state,
            sts=self._proxy.gate,
        )
        shim.start()
        self._stack.callback(shim.stop)
        self._shim = shim

    def _gate(self) -> Gate:
        return Gate(lambda service: client(service, self._emulator.inner_endpoint, REGION), self._proxy.state)

    def _trust(self) -> dict[str, str]:
        return self._emulator.tls.environment() if self._emulator.tls else {}

    def _running_shim(self) -> InstanceShim:
        if self._shim is None:
            raise LocalCloudError("The local cloud is still starting: no instance runs yet.")
        return self._shim

    def _save_state(self) -> None:
        control = {"control_url": self._control.url, "token": self._control.token}
        self._files.aws_config.write_text(
            aws_config(self._emulator.endpoint, self._proxy.url, REGION, self._emulator.tls), encoding="utf-8"
        )
        write_private(self._files.state, control | {name: self.status()[name] for name in _SAVED})

    def _show(self, one: Instance) -> dict[str, Any]:
        return {
            "instance_id": one.instance_id,
            "state": one.state,
            "market": one.market,
            "instance_type": one.spec.instance_type,
            "zone": one.spec.zone,
            "launched_at": one.launched_at.isoformat(),
            "reason": one.reason.code if one.reason else None,
            "log": str(self._files.instances / f"{one.instance_id}.log"),
        }

    def _send_event(self, detail_type: str, instance_id: str, detail: dict[str, str]) -> None:
        """By direct invoke: PutEvents refuses ``aws.*`` sources, here as in AWS."""
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": detail_type,
            "source": "aws.ec2",
            "account": ACCOUNT_ID,
            "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": REGION,
            "resources": [f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}:instance/{instance_id}"],
            "detail": detail,
        }
        self._emulator.client("lambda").invoke(
            FunctionName=self._outputs["CapacityFunction"], InvocationType="Event", Payload=json.dumps(event).encode()
        )


_SAVED = ("pid", "ready", "enforcing", "endpoint", "ec2_endpoint", "region", "account_id", "outputs")


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """Unwind once, undisturbed by further signals."""
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    logger.info("ending on %s", signal.Signals(number).name)
    raise SystemExit(0)


def _end_with(pid: int) -> None:
    """Watch another process, and end this one when it is gone."""
    pidfd_open = getattr(os, "pidfd_open", None)
    try:
        if pidfd_open is not None:
            select.select([pidfd_open(pid)], [], [])
        else:
            pause = threading.Event()
            while not pause.wait(_PARENT_CHECK_S):
                os.kill(pid, 0)
    except ProcessLookupError:
        pass
    logger.info("process %d, which this cloud is tied to, has ended", pid)
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stdout)
    settings = CloudSettings.load(Path(sys.argv[1]))
    os.set_inheritable(int(sys.argv[2]), False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _end)
    with ExitStack() as stack:
        try:
            if settings.tied_to is not None:
                threading.Thread(target=_end_with, args=(settings.tied_to,), daemon=True).start()
            supervisor = Supervisor(settings, stack)
            supervisor.bring_up()
            supervisor.serve()
        except LocalCloudError as error:
            logger.error("%s", error.message)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
