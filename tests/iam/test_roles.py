"""The table of tests/iam/rows.py, judged by the template's policies and, with ``--slow``, by a cloud that enforces them
and is asked with the roles' own credentials.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from avskrift.local.iam.checks import Call
from tests.iam.rows import ROWS, TAGS, Row, fleet, receive, s3, send


def with_mark(row: Row) -> Any:
    marks = [pytest.mark.xfail(reason=f"the emulator: {row.emulator_errs}", strict=True)] if row.emulator_errs else []
    return pytest.param(row, marks=marks, id=str(row))


def test_policies_of_the_template_decide_as_the_table_says(judge: Any) -> None:
    wrong = [str(row) for row in ROWS if judge.allows(row.role, row.call(judge.names)) is not row.allowed]
    assert not wrong


def test_under_a_key_of_its_own_each_part_may_do_the_same(key_judge: Any) -> None:
    wrong = [str(row) for row in ROWS if key_judge.allows(row.role, row.call(key_judge.names)) is not row.allowed]
    assert not wrong


def test_without_the_key_no_part_reads_or_writes_anything(key_judge: Any) -> None:
    keyless = key_judge.without_key()
    keys = {row for row in ROWS if row.allowed and not keyless.allows(row.role, row.call(keyless.names))}
    told = {str(row) for row in keys}
    assert {row.role for row in keys} == {"agent", "register", "reconcile", "capacity", "deliver"}
    assert {"agent may read a recording", "capacity may launch a fleet that carries our tag"} <= told
    assert {"deliver may read the signing secret", "register may put a job in the queue"} <= told


@pytest.mark.parametrize(
    ("policy", "found"),
    [
        ({"Effect": "Allow", "Action": "*", "Resource": "*"}, [row for row in ROWS if not row.allowed]),
        ({"Effect": "Deny", "Action": "*", "Resource": "*"}, [row for row in ROWS if row.allowed]),
    ],
    ids=["everything allowed", "everything denied"],
)
def test_every_row_notices_a_policy_that_gives_another_answer(judge: Any, policy: Any, found: list[Row]) -> None:
    planted = judge.with_statement(policy)
    assert [row for row in ROWS if planted.allows(row.role, row.call(planted.names)) is not row.allowed] == found


@pytest.mark.slow
@pytest.mark.cloud
@pytest.mark.xdist_group("iam")
@pytest.mark.parametrize("row", [with_mark(row) for row in ROWS])
def test_enforcing_cloud_decides_as_the_table_says(court: Any, row: Row) -> None:
    assert court.allows(row.role, row.call(court.names)) is row.allowed


@pytest.mark.parametrize(
    ("tags", "allowed"),
    [
        ({"avskrift:deployment": "avskrift"}, True),
        ({"aws:ec2launchtemplate:id": "{template}"}, True),
        ({"avskrift:deployment": "press"}, False),
        ({"Name": "avskrift"}, False),
    ],
    ids=["our tag", "our template", "another deployment's tag", "another tag"],
)
def test_capacity_ends_only_what_is_its_own(judge: Any, tags: dict[str, str], allowed: bool) -> None:
    worn = {key: value.format(template=judge.names.template) for key, value in tags.items()}
    assert judge.may_terminate("capacity", worn) is allowed
    assert not judge.may_terminate("agent", worn)


def test_capacity_launches_as_the_agent_and_nobody_else_launches_as_anybody(judge: Any) -> None:
    roles = judge.names.roles

    assert judge.may_hand_over("capacity", roles["agent"])
    assert not judge.may_hand_over("capacity", roles["agent"], "lambda.amazonaws.com")
    assert [part for part in roles if part != "agent" and judge.may_hand_over("capacity", roles[part])] == []
    assert [part for part in roles if part != "capacity" and judge.may_hand_over(part, roles["agent"])] == []


@pytest.mark.slow
@pytest.mark.cloud
@pytest.mark.xdist_group("iam")
def test_capacity_may_end_what_it_launched_and_nobody_else_may(court: Any) -> None:
    assert court.allows("capacity", fleet(TAGS)(court.names))
    instance_id = court.last_instance()
    end = Call("ec2", "TerminateInstances", {"InstanceIds": [instance_id]})
    assert [role for role in ("agent", "register", "reconcile", "deliver") if court.allows(role, end)] == []
    assert court.allows("capacity", end)


@pytest.mark.slow
@pytest.mark.cloud
@pytest.mark.xdist_group("iam")
@pytest.mark.parametrize(
    ("role", "call"),
    [
        ("agent", s3("PutObject", "results/j/transcript.txt", Body=b"x")),
        ("register", s3("HeadObject", "uploads/a.ogg")),
        ("register", send("jobs")),
        ("deliver", receive("outbox")),
    ],
    ids=["writing an object", "seeing an object", "sending a message", "taking a message"],
)
def test_what_a_role_may_do_it_may_not_do_in_plain_http(court: Any, role: str, call: Callable[[Any], Call]) -> None:
    assert court.allows(role, call(court.names))
    assert not court.allows(role, call(court.names), plain=True)
