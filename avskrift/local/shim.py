"""Instances as processes: boots what EC2 says is pending, ends it when told, reports what ended by itself.

Each instance gets a metadata server of its own and one agent process, in a process group, with a folder for its log and
a disk (its ``TMPDIR``) that vanishes with it. The process is the machine: when it ends, the machine has powered off.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from avskrift.errors import LocalCloudError
from avskrift.local.aws import ACCOUNT_ID, client, no_proxy
from avskrift.local.credentials import RoleCredentials
from avskrift.local.ec2.state import INSTANCE_SHUTDOWN, SPOT_TERMINATION, Ec2State, Instance
from avskrift.local.imds import MetadataServer, Notices
from avskrift.local.processes import Launch, TetheredProcess

logger = logging.getLogger(__name__)

NOTICE_S = 120.0
"""What AWS gives between the notice and the end of a spot instance."""
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_OFFLINE")
_CHANGE_TIMEOUT_S = 60.0


def default_agent_command() -> tuple[str, ...]:
    return (sys.executable, "-m", "instance")


@dataclass(frozen=True)
class ShimSettings:
    folder: Path
    """Holds a log per instance and, while they live, their disks."""
    checkout: Path
    """Where the agent's code lies: its working folder and ``PYTHONPATH``."""
    endpoint: str
    """The emulator."""
    region: str
    inner_endpoint: str = ""
    """The emulator's plain door, where it has two: for what EC2 itself would ask; empty: ``endpoint``."""
    account_id: str = ACCOUNT_ID
    agent_command: Sequence[str] = field(default_factory=default_agent_command)
    agent_environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the bare environment of each agent."""
    stop_grace_s: float = 10.0
    """Between SIGTERM and SIGKILL when an instance is terminated."""


@dataclass(frozen=True)
class Surroundings:
    """What all machines of a shim share; AWS clients are slow to make and safe to share."""

    settings: ShimSettings
    state: Ec2State
    iam: Any
    sts: Any


class Machine:
    """One instance that runs."""

    def __init__(self, surroundings: Surroundings, instance_id: str) -> None:
        self._surroundings = surroundings
        self._settings = surroundings.settings
        self._state = surroundings.state
        self._lock = threading.Lock()
        self.ending = False
        self.instance_id = instance_id
        self.notices = Notices()
        self.log = self._settings.folder / f"{instance_id}.log"
        self.process: TetheredProcess | None = None

    def live(self) -> None:
        """Boot, wait for the end, clean up; returns when the instance is gone."""
        disk = self._settings.folder / f"{self.instance_id}-disk"
        disk.mkdir(parents=True, exist_ok=True)
        try:
            with self._metadata_server() as metadata:
                self._boot(metadata, disk)
                if self.process is not None:
                    status = self.process.wait()
                    logger.info("%s: the agent ended with status %d", self.instance_id, status)
        except Exception:
            logger.exception("%s could not boot", self.instance_id)
        finally:
            shutil.rmtree(disk, ignore_errors=True)
            self._report_end()

    def _boot(self, metadata: MetadataServer, disk: Path) -> None:
        with self._lock:
            if self.ending:
                return
            launch = Launch(
                self._settings.agent_command, self._environment(metadata, disk), self._settings.checkout, self.log
            )
            self.process = TetheredProcess(launch)
        spec = self._state.move(self.instance_id, "running").spec
        logger.info("%s: booted as %s in %s", self.instance_id, spec.instance_type, spec.zone)

    def end(self, grace_s: float | None = None) -> None:
        """Power off: SIGTERM, then SIGKILL. The thread in :meth:`live` does the rest."""
        with self._lock:
            self.ending = True
        if self.process is not None:
            self.process.stop(self._settings.stop_grace_s if grace_s is None else grace_s)

    def _report_end(self) -> None:
        one = self._state.instance(self.instance_id)
        stays = one.spec.shutdown_behavior == "stop" and one.market == "on-demand" and one.state != "shutting-down"
        self._state.move(self.instance_id, "stopped" if stays else "terminated", INSTANCE_SHUTDOWN)

    def _metadata_server(self) -> MetadataServer:
        shared, state = self._surroundings, self._state
        profile_arn = state.instance(self.instance_id).spec.profile_arn
        credentials = None
        if profile_arn:
            credentials = RoleCredentials(shared.iam, shared.sts, profile_arn, self.instance_id)
        return MetadataServer(
            lambda: state.instance(self.instance_id), lambda: self.notices, credentials, self._settings.account_id
        )

    def _environment(self, metadata: MetadataServer, disk: Path) -> dict[str, str]:
        passed_on = {
            name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith("AVSKRIFT_")
        }
        return {
            **passed_on,
            **no_proxy(),
            "PYTHONPATH": str(self._settings.checkout),
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(disk),
            "AWS_ENDPOINT_URL": self._settings.endpoint,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            **self._settings.agent_environment,
        }


class InstanceShim:
    """Watches the EC2 state and makes it true."""

    def __init__(self, settings: ShimSettings, state: Ec2State, sts: Any = None) -> None:
        """``sts`` makes the instances' sessions, if somebody else wants to know of them; else the emulator's own."""
        inner = settings.inner_endpoint or settings.endpoint
        iam, own_sts = (client(service, inner, settings.region) for service in ("iam", "sts"))
        self._surroundings = Surroundings(settings, state, iam, sts or own_sts)
        self._folder = settings.folder
        self._state = state
        self._machines: dict[str, Machine] = {}
        self._threads: list[threading.Thread] = []
        self._timers: list[threading.Timer] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="instance-shim", daemon=True)

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._watcher.start()

    def stop(self) -> None:
        """End every instance at once and wait until they are gone."""
        self._stopping.set()
        self._state.wake()
        if self._watcher.is_alive():
            self._watcher.join()
        for timer in self._timers:
            timer.cancel()
        for machine in self._machines.values():
            machine.end(grace_s=0)
        for thread in list(self._threads):
            thread.join()

    def machine(self, instance_id: str) -> Machine:
        """The machine behind an instance that runs; :class:`LocalCloudError` when there is none."""
        with self._lock:
            machine = self._machines.get(instance_id)
        if machine is None or machine.process is None or machine.process.poll() is not None:
            raise LocalCloudError(f"There is no running instance {instance_id} in the local cloud.")
        return machine

    def interrupt(self, instance_id: str, notice_s: float = NOTICE_S) -> datetime:
        """Give a spot instance its notice; after ``notice_s`` it is taken. Returns when that will be."""
        machine = self.machine(instance_id)
        if self._state.instance(instance_id).market != "spot":
            raise LocalCloudError(f"Instance {instance_id} is on-demand: only spot instances are interrupted.")
        taken_at = datetime.now(UTC) + timedelta(seconds=notice_s)
        machine.notices = replace(machine.notices, interruption_at=taken_at)
        timer = threading.Timer(notice_s, self._take, (instance_id,))
        timer.daemon = True
        self._timers.append(timer)
        timer.start()
        return taken_at

    def recommend_rebalance(self, instance_id: str) -> None:
        """Make the rebalance recommendation appear in the instance's metadata."""
        machine = self.machine(instance_id)
        machine.notices = replace(machine.notices, rebalance_at=datetime.now(UTC))

    def _take(self, instance_id: str) -> None:
        self._state.move(instance_id, "shutting-down", SPOT_TERMINATION)

    def _watch(self) -> None:
        revision = -1
        while not self._stopping.is_set():
            revision = self._state.wait_for_change(revision, _CHANGE_TIMEOUT_S)
            for one in self._state.instances():
                self._follow(one)

    def _follow(self, one: Instance) -> None:
        with self._lock:
            known = self._machines.get(one.instance_id)
            if one.state == "pending" and known is None and not self._stopping.is_set():
                machine = Machine(self._surroundings, one.instance_id)
                self._machines[one.instance_id] = machine
                self._spawn(machine.live, one.instance_id)
            elif one.state == "shutting-down" and known is None:
                self._state.move(one.instance_id, "terminated")
            elif one.state == "shutting-down" and known is not None and not known.ending:
                known.ending = True
                self._spawn(known.end, f"end-{one.instance_id}")

    def _spawn(self, work: Callable[[], Any], name: str) -> None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
