"""The functions: active, woken by their clock, and fed by their queues."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from avskrift.doctor.check import Check, green, red
from avskrift.doctor.subject import Subject
from avskrift.doctor.uploads import rules_to

if TYPE_CHECKING:
    from mypy_boto3_lambda.type_defs import FunctionConfigurationResponseTypeDef

PARTS = ("register", "capacity", "reconcile", "deliver")
TIMED = ("capacity", "reconcile")
FED = ("register", "deliver")
_FEEDING = frozenset({"Enabled", "Enabling", "Creating", "Updating"})
_SOUND_STATES = frozenset({"Active", "Pending"})


def functions(subject: Subject) -> Iterator[Check]:
    """Each function's state, what wakes it and what feeds it."""
    for part in PARTS:
        client = subject.session.client("lambda")
        try:
            told = client.get_function_configuration(FunctionName=subject.output(f"{part.capitalize()}Function"))
        except client.exceptions.ResourceNotFoundException:
            yield red(f"λ {part}", "It is gone.", subject.settings.repair())
            continue
        faults = [*_state(subject, part, told), *_clock(subject, part, told), *_feed(subject, part, told)]
        yield from faults or [green(f"λ {part}", _fine(part))]


def _fine(part: str) -> str:
    return "Active" + (", woken by its clock." if part in TIMED else ", fed by its queue.")


def _state(subject: Subject, part: str, told: FunctionConfigurationResponseTypeDef) -> Iterator[Check]:
    state = told.get("State", "Active")
    if state not in _SOUND_STATES:
        why = told.get("StateReason", "no reason given")
        yield red(f"λ {part}", f"It is {state}: {why}.", subject.settings.repair())
    if told.get("LastUpdateStatus") == "Failed":
        why = told.get("LastUpdateStatusReason", "no reason given")
        yield red(f"λ {part}", f"Its last update failed: {why}.", subject.settings.deploy())


def _clock(subject: Subject, part: str, told: FunctionConfigurationResponseTypeDef) -> Iterator[Check]:
    if part not in TIMED:
        return
    rules = rules_to(subject, told["FunctionArn"])
    if not any(rule.get("ScheduleExpression") for rule in rules):
        yield red(f"λ {part}", "No clock wakes it.", subject.settings.repair())
    for rule in rules:
        if rule["State"] == "DISABLED":
            enable = subject.aws(f"events enable-rule --name {rule['Name']}")
            yield red(f"λ {part}", f"The rule {rule['Name']} that wakes it is disabled.", enable)


def _feed(subject: Subject, part: str, told: FunctionConfigurationResponseTypeDef) -> Iterator[Check]:
    if part not in FED:
        return
    client = subject.session.client("lambda")
    mappings = client.list_event_source_mappings(FunctionName=told["FunctionName"])["EventSourceMappings"]
    if not mappings:
        yield red(f"λ {part}", "No queue feeds it.", subject.settings.repair())
    for mapping in mappings:
        if mapping["State"] not in _FEEDING:
            enable = subject.aws(f"lambda update-event-source-mapping --uuid {mapping['UUID']} --enabled")
            yield red(f"λ {part}", f"Its queue does not feed it: {mapping['State'].lower()}.", enable)
