"""What a local cloud is started with, and the files by which its processes know each other."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import avskrift
from avskrift.errors import LocalCloudError

CHECKOUT = Path(avskrift.__file__).resolve().parents[1]
DEFAULT_FOLDER = CHECKOUT / ".avskrift" / "cloud"


@dataclass(frozen=True)
class CloudSettings:
    """One local cloud."""

    folder: Path = DEFAULT_FOLDER
    """Its state and logs. One cloud per folder; clouds in different folders don't meet."""
    checkout: Path = CHECKOUT
    """Where the stack's code lies."""
    callback_url: str = ""
    """Where the webhooks of jobs go that name no address; empty: nowhere."""
    context: Mapping[str, str] = field(default_factory=dict)
    """CDK context (settings of infra/config.py) above the local defaults."""
    agent_command: tuple[str, ...] = ()
    """What runs on an instance; empty: ``python -m instance``."""
    agent_environment: Mapping[str, str] = field(default_factory=dict)
    """Added to every agent's environment."""
    enforcing: bool = False
    """Check every signature and every policy, over TLS, as AWS does; functions and agents have their roles' rights."""
    tied: bool = False
    """The cloud ends when the process does that brought it up; else it stays until told to end."""
    tied_to: int | None = None
    """The cloud ends when this process does (set by ``tied``)."""

    def deploy_context(self) -> dict[str, str]:
        """What to say to the CDK with ``-c``."""
        return {**self.context, "callback_url": self.callback_url} if self.callback_url else dict(self.context)

    def save(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        values = asdict(self) | {"folder": str(self.folder), "checkout": str(self.checkout)}
        write_private(Files(self.folder).settings, values)

    @classmethod
    def load(cls, folder: Path) -> CloudSettings:
        values = json.loads(Files(folder).settings.read_text(encoding="utf-8"))
        paths = {"folder": Path(values["folder"]), "checkout": Path(values["checkout"])}
        return cls(**{**values, **paths, "agent_command": tuple(values["agent_command"])})


@dataclass(frozen=True)
class Files:
    """The names in a cloud's folder."""

    folder: Path

    @property
    def settings(self) -> Path:
        return self.folder / "settings.json"

    @property
    def state(self) -> Path:
        """How to reach the supervisor, while there is one; holds the control token, so it is private."""
        return self.folder / "state.json"

    @property
    def journal(self) -> Path:
        """One JSON object per line: the steps of bringing the cloud up."""
        return self.folder / "journal.jsonl"

    @property
    def lock(self) -> Path:
        """Held by the supervisor as long as it lives."""
        return self.folder / "lock"

    @property
    def aws_config(self) -> Path:
        """An AWS configuration file whose default profile is this cloud."""
        return self.folder / "aws-config"

    @property
    def supervisor_log(self) -> Path:
        return self.folder / "supervisor.log"

    @property
    def instances(self) -> Path:
        return self.folder / "instances"

    def logs(self) -> list[Path]:
        return sorted([*self.folder.glob("*.log"), *self.instances.glob("*.log")])

    def clear(self) -> None:
        """Remove what an earlier cloud left here, and nothing that isn't a cloud's."""
        self.clear_temporary()
        shutil.rmtree(self.instances, ignore_errors=True)
        files = (self.settings, self.state, self.journal, self.aws_config, self.folder / "outputs.json")
        for path in (*files, *self.folder.glob("*.log")):
            path.unlink(missing_ok=True)

    def clear_temporary(self) -> None:
        """Remove what is of no use once the cloud is down; logs stay."""
        for name in ("emulator-tmp", "cdk-tmp", "cdk.out", "tls"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        for disk in self.instances.glob("*-disk"):
            shutil.rmtree(disk, ignore_errors=True)


def write_private(path: Path, values: Mapping[str, Any]) -> None:
    """JSON, readable by this user only, complete at any moment that somebody reads it."""
    draft = path.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(dict(values), stream)
    draft.replace(path)


def parse_context(pairs: list[str]) -> dict[str, str]:
    """``name=value`` arguments; raises :class:`LocalCloudError` for anything else."""
    context = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise LocalCloudError(f"Write a setting as name=value, not {pair!r}.")
        context[name] = value
    return context
