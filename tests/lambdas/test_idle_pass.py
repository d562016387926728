"""What the functions that run by the clock do while nothing is to be done: the numbers of the idle month's price."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from infra.idle_cost import IDLE_PASSES, IdlePass
from lambdas.clients import client
from tests.lambdas.invoking import Context

UNITS = {"GetItem": 1.0, "Query": 0.5}
"""Read units of a request that finds nothing, or an item under 4 KB: GetItem is consistent, Query not."""
WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem"})
FREE = frozenset({"ec2.DescribeInstances", "ssm.GetParameter"})


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Every request of the functions' own clients, as ``service.Operation``."""
    made: Counter[str] = Counter()

    def counting(make: Callable[[str], Any]) -> Callable[[str], Any]:
        def make_counting(service: str) -> Any:
            made_client = make(service)
            made_client.meta.events.register(
                "before-call", lambda model, **_: made.update([f"{service}.{model.name}"]), unique_id="count"
            )
            return made_client

        return make_counting

    for module in ("capacity", "reconcile"):
        monkeypatch.setattr(f"lambdas.{module}.client", counting(client))
    return made


def priced(made: Counter[str]) -> IdlePass:
    """What a run asked for, in what is billed; its time can't be measured here."""
    dynamodb = {call.removeprefix("dynamodb."): n for call, n in made.items() if call.startswith("dynamodb.")}
    assert dynamodb.keys() <= UNITS.keys() | WRITES
    others = {call for call in made if not call.startswith("dynamodb.")}
    assert others <= FREE | {"sqs.GetQueueAttributes", "s3.ListObjectVersions"}
    return IdlePass(
        duration_s=0.0,
        dynamodb_reads=sum(UNITS.get(call, 0.0) * times for call, times in dynamodb.items()),
        dynamodb_writes=sum(times for call, times in dynamodb.items() if call in WRITES),
        sqs_requests=made["sqs.GetQueueAttributes"],
        s3_lists=made["s3.ListObjectVersions"],
    )


def of_price(part: str) -> IdlePass:
    values = IDLE_PASSES[f"lambdas.{part}.handler"]
    return IdlePass(
        0.0, values.dynamodb_reads, values.dynamodb_writes, values.sqs_requests, values.s3_lists, values.log_bytes
    )


def test_an_idle_pass_of_capacity_asks_for_what_its_price_says_and_writes_nothing(
    functions: dict[str, ModuleType], calls: Counter[str], capsys: pytest.CaptureFixture[str]
) -> None:
    functions["capacity"].handler({}, Context())
    calls.clear()
    capsys.readouterr()

    functions["capacity"].handler({}, Context())

    assert priced(calls) == of_price("capacity")
    assert capsys.readouterr().out == "", "no log line, no metric"


def test_an_idle_run_of_reconcile_asks_for_what_its_price_says_and_writes_nothing(
    function: ModuleType,
    nudges: list[Any],
    calls: Counter[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    function._reconciler.cache_clear()
    function.handler({}, Context())

    assert priced(calls) == of_price("reconcile")
    assert capsys.readouterr().out == ""


def test_the_memory_of_an_idle_deployment_is_one_write_unit(functions: dict[str, ModuleType], deployment: Any) -> None:
    """A write unit is 1 KB."""
    functions["capacity"].handler({}, Context())
    item = deployment.dynamodb.get_item(TableName="jobs", Key={"pk": {"S": "fleet#memory"}})["Item"]
    assert len(str(item)) < 1_024, "more than what DynamoDB counts: names and values without their types"
    assert time.time() - float(item["memory"]["M"]["metered_at"]["N"]) < 60
