"""The commands of docs/operations.md exist: whoever is woken copies them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from aws_cdk.assertions import Template

from avskrift.cli import app
from avskrift.webhooks.schedule import RETRY_DELAYS_S
from tests.infra.catalog_use import CHECKOUT, catalog

RUNBOOK = (CHECKOUT / "docs" / "operations.md").read_text()


def code_of(text: str) -> Iterator[str]:
    """What stands in blocks of code and between backticks."""
    for block in re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```\n.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def our_commands() -> list[list[str]]:
    """Every command of ours with its words, without what is piped from it."""
    found = (
        re.sub(r"\$\(.*?\)", "VALUE", line).split("|")[0] for line in code_of(RUNBOOK) if line.startswith("avskrift ")
    )
    return [shlex.split(line, comments=True)[1:] for line in found]


@pytest.mark.parametrize("words", our_commands(), ids=" ".join)
def test_our_own_commands_and_their_options_exist(words: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while hasattr(command, "commands"):  # typer brings a click of its own: its classes can't be asked for
        name = rest.pop(0)
        assert name in command.commands, words
        command = command.commands[name]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in rest if word.startswith("-")} <= options


def test_outputs_of_the_stack_that_are_asked_for_exist(template: Template) -> None:
    asked = set(re.findall(r"\$?\(?\b(?:out|arn) ([A-Z]\w+)", RUNBOOK))
    assert asked
    assert asked <= template.find_outputs("*").keys()


def test_scripts_that_are_named_exist() -> None:
    for name in set(re.findall(r"\bscripts/([\w-]+)", RUNBOOK)):
        assert (CHECKOUT / "scripts" / name).exists(), name


def test_metrics_that_are_asked_for_exist() -> None:
    names = {metric.name for family in catalog().values() for metric in family}
    assert set(re.findall(r"--metric-name (\w+)", RUNBOOK)) <= names


def test_messages_are_moved_to_a_queue_that_is_named() -> None:
    """Events that EventBridge itself put among the dead letters have no queue to go back to."""
    moves = [line for line in code_of(RUNBOOK) if "start-message-move-task" in line]
    assert moves
    assert all("--destination-arn" in line for line in moves)


def test_webhooks_are_tried_for_as_long_as_it_says() -> None:
    assert round(sum(RETRY_DELAYS_S) / 86_400) == 3
    assert "Webhooks are tried for about three days" in RUNBOOK


def test_log_groups_that_are_read_exist(template: Template) -> None:
    groups = {each["Properties"]["LogGroupName"] for each in template.find_resources("AWS::Logs::LogGroup").values()}
    read = set(re.findall(r"/avskrift/\$N/(\w+)", RUNBOOK))
    assert {f"/avskrift/avskrift/{part}" for part in read} <= groups


def test_links_within_the_page_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.+)$", RUNBOOK, re.M)
    }
    assert set(re.findall(r"\]\(#([\w-]+)\)", RUNBOOK)) <= headings
