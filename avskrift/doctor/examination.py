"""Everything the doctor looks at, in the order in which a fault would be met."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from avskrift.doctor import account, callback, functions, image, offers, quotas, secret, stack, uploads
from avskrift.doctor.check import Check, red, yellow
from avskrift.doctor.permissions import missing_permission
from avskrift.doctor.subject import Settings, Subject, deployed_settings
from avskrift.errors import ConfigurationError

if TYPE_CHECKING:
    from boto3.session import Session

Look = Callable[[Subject], Iterable[Check]]


@dataclass(frozen=True)
class Probe:
    """One thing to look at; ``name`` stands for it where it could not be looked at."""

    name: str
    look: Look


#: What a deployment needs of the account and of its settings; says as much before it is made as afterwards.
BEFORE = (
    Probe("region", account.region),
    Probe("zones", offers.zones),
    Probe("instance types", offers.instance_types),
    Probe("GPU", offers.gpus),
    Probe("quotas", quotas.quotas),
    Probe("quota VPCs", quotas.vpcs),
    Probe("spot role", account.spot_role),
    Probe("CDK bootstrap", account.bootstrap),
    Probe("bucket name", uploads.bucket_name),
    Probe("image", image.image),
    Probe("callback", callback.callbacks),
)
#: What was deployed.
AFTER = (
    Probe("bucket", uploads.bucket),
    Probe("upload rule", uploads.upload_rule),
    Probe("functions", functions.functions),
    Probe("webhook secret", secret.secret),
    Probe("table", uploads.table),
    Probe("key", stack.key),
    Probe("dead letters", uploads.dead_letters),
    Probe("alarms", stack.alarm_topic),
    Probe("alarm", stack.alarms),
)


def examine_plan(session: Session, settings: Settings) -> Iterator[Check]:
    """What ``settings`` need, before they are deployed for the first time or once more."""
    identity, account_id = account.identify(session, settings)
    yield identity
    if account_id:
        subject = Subject(session, account_id, settings, is_plan=True)
        found = _Stack.find(subject)
        yield from found.faults
        yield from _all(
            (Probe("stack", stack.readiness), *BEFORE), replace(subject, outputs=found.outputs, status=found.status)
        )


def examine(session: Session, planned: Settings) -> Iterator[Check]:
    """A deployment as it is, by its stack; by the settings ``planned`` while there is no stack."""
    identity, account_id = account.identify(session, planned)
    yield identity
    if not account_id:
        return
    subject = Subject(session, account_id, planned)
    found = _Stack.find(subject)
    yield from found.faults
    subject = replace(subject, outputs=found.outputs, status=found.status)
    if found.outputs:
        settings, doubts = _told(subject)
        subject = replace(subject, settings=settings)
        yield from doubts
    of_stack = () if found.faults else (Probe("stack", stack.stack),)
    yield from _all((*of_stack, *BEFORE, *(AFTER if found.outputs else ())), subject)


@dataclass(frozen=True)
class _Stack:
    """State and outputs, or why they are not known."""

    status: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[Check, ...] = ()

    @classmethod
    def find(cls, subject: Subject) -> _Stack:
        try:
            return cls(*stack.find_stack(subject.session, subject.settings.name))
        except ClientError as error:
            return cls(faults=(_unanswered("stack", error, subject),))
        except BotoCoreError as error:
            return cls(faults=(_unasked("stack", error),))


def _all(probes: Iterable[Probe], subject: Subject) -> Iterator[Check]:
    for probe in probes:
        yield from _guarded(probe, subject)


def _guarded(probe: Probe, subject: Subject) -> Iterator[Check]:
    """Its lines; what could not be looked at is a line too."""
    try:
        yield from probe.look(subject)
    except ClientError as error:
        yield _unanswered(probe.name, error, subject)
    except BotoCoreError as error:
        yield _unasked(probe.name, error)
    except ConfigurationError as error:
        yield red(probe.name, error.message, subject.settings.deploy())


def _unasked(name: str, error: BotoCoreError) -> Check:
    return yellow(name, f"Not checked, AWS could not be asked: {error}")


def _unanswered(name: str, error: ClientError, subject: Subject) -> Check:
    if permission := missing_permission(error):
        return yellow(name, f"Not checked: these credentials lack the permission {permission}.")
    if subject.settings.local:
        return yellow(name, f"Not checked: the local cloud does not answer {error.operation_name}.")
    fault = error.response["Error"]
    told = f"AWS refused {error.operation_name} ({fault.get('Code', 'no code')}): {fault.get('Message', '')}"
    return red(name, told, "avskrift doctor, once more")


def _told(subject: Subject) -> tuple[Settings, tuple[Check, ...]]:
    """What the deployed functions were told, or the checkout's settings and a line that says so."""
    planned = subject.settings
    try:
        return deployed_settings(subject.session, planned, subject.outputs), ()
    except ClientError as error:
        permission = missing_permission(error)
        why = f"these credentials lack the permission {permission}" if permission else "the functions did not answer"
    except (BotoCoreError, KeyError):
        why = "the functions could not be asked, or are of another version"
    return planned, (yellow("settings", f"Those of the checkout are looked at, not the deployed ones: {why}."),)
