"""The stack keeps every security sentence, and each is tried against a template with that fault planted."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from avskrift.errors import ConfigurationError
from tests.infra import lasting_rules, security_rules
from tests.infra.conftest import Synthesize
from tests.infra.planted_faults import FAULTS
from tests.infra.planting import Fault
from tests.infra.security_rules import Rule

RULES = (*security_rules.RULES, *lasting_rules.RULES)


@pytest.fixture(scope="module")
def templates(synthesize: Synthesize) -> Mapping[bool, Any]:
    """The stack without and with a key of its own."""
    return {has_key: synthesize(customer_key=has_key).to_json() for has_key in (False, True)}


def named(value: Rule | Fault) -> str:
    return value.title if isinstance(value, Fault) else value.__name__


@pytest.mark.parametrize("customer_key", [False, True], ids=["service keys", "customer key"])
@pytest.mark.parametrize("rule", RULES, ids=named)
def test_the_stack_keeps_the_rule(templates: Mapping[bool, Any], rule: Rule, customer_key: bool) -> None:
    assert rule(templates[customer_key]) == []


@pytest.mark.parametrize("fault", FAULTS, ids=named)
def test_a_planted_fault_is_found(templates: Mapping[bool, Any], fault: Fault) -> None:
    template = copy.deepcopy(templates[fault.customer_key])
    fault.plant(template)

    assert fault.rule(template)


@pytest.mark.parametrize(
    "callback_url",
    [
        "https://receiver.example/hook?sig=0123",
        "https://receiver.example/hook?token=whsec_MfKQ9r",
        "https://receiver.example/hook#whsec_MfKQ9r",
        "https://ada:password@receiver.example/hook",
    ],
)
def test_a_secret_in_the_callback_address_is_refused_and_so_in_no_template(
    synthesize: Synthesize, callback_url: str
) -> None:
    with pytest.raises(ConfigurationError, match='"callback_url" must '):
        synthesize(callback_url=callback_url)


def test_the_rule_about_secrets_takes_an_address_without_any(synthesize: Synthesize) -> None:
    template = synthesize(callback_url="https://receiver.example/hook").to_json()

    assert "https://receiver.example/hook" in str(template)
    assert security_rules.no_secret_is_in_user_data_or_environment(template) == []


def test_every_rule_is_tried() -> None:
    assert {fault.rule for fault in FAULTS} == set(RULES)
