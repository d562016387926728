"""Settings are read from context of every spelling, and a wrong one is refused with a sentence."""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import pytest

from avskrift.errors import ConfigurationError
from avskrift.jobs.growth import SLOW_START_S
from infra.config import Config
from infra.limits import MAX_LIFE_LIMIT_S

TOPIC_ARN = "arn:aws:sns:eu-north-1:123456789012:on-call"


def test_defaults_are_complete_and_derive_from_name_and_region() -> None:
    config = Config.from_context({"name": "press", "region": "eu-west-1"})

    assert config.ami_parameter == "/avskrift/press/ami"
    assert config.availability_zones == ("eu-west-1a", "eu-west-1b", "eu-west-1c")
    assert config.instance_types == ("g4dn.xlarge", "g6.xlarge", "g5.xlarge")


def test_text_from_the_command_line_and_values_from_cdk_json_mean_the_same() -> None:
    from_command_line = {
        "max_instances": "2",
        "local": "true",
        "max_usd_per_day": "7.5",
        "instance_types": "g6.xlarge, g5.xlarge",
    }
    from_file = {
        "max_instances": 2,
        "local": True,
        "max_usd_per_day": 7.5,
        "instance_types": ["g6.xlarge", "g5.xlarge"],
    }

    assert Config.from_context(from_command_line) == Config.from_context(from_file)


def test_the_cdks_own_context_is_no_setting() -> None:
    context = {"aws:cdk:bundling-stacks": [], "@aws-cdk/aws-iam:minimizePolicies": True}

    assert Config.from_context(context) == Config.from_context({})


def test_local_keeps_no_data() -> None:
    assert Config.from_context({}).keeps_data
    assert not Config.from_context({"local": True}).keeps_data
    assert not Config.from_context({"retain_data": "false"}).keeps_data


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda"])
def test_a_device_the_engine_knows_may_be_set(device: str) -> None:
    assert Config.from_context({"device": device}).device == device


def test_the_images_timer_ends_a_machine_only_after_its_own_limit() -> None:
    timer = Path(__file__).resolve().parents[2] / "instance" / "systemd" / "avskrift-max-life.timer"
    (hours, minutes) = re.findall(r"OnBootSec=(\d+)h(\d+)min", timer.read_text())[0]

    assert int(hours) * 3600 + int(minutes) * 60 > MAX_LIFE_LIMIT_S


def test_an_instance_may_be_slow_to_start_and_linger_before_it_counts_as_idle() -> None:
    busy_s = 600 + SLOW_START_S
    assert Config.from_context({"linger_s": 600, "idle_limit_s": busy_s + 1}).idle_limit_s == busy_s + 1

    with pytest.raises(ConfigurationError, match=f'"idle_limit_s" must be more than {busy_s}'):
        Config.from_context({"linger_s": 600, "idle_limit_s": busy_s})


def test_callbacks_without_tls_are_for_the_local_cloud_only() -> None:
    assert Config.from_context({"local": True, "callback_url": "http://127.0.0.1:8000/"}).callback_url

    with pytest.raises(ConfigurationError, match="https://"):
        Config.from_context({"callback_url": "http://example.org/"})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_instanses", 5),
        ("max_instances", "five"),
        ("max_instances", 0),
        ("max_instances", 10_000),
        ("max_instances", 1.5),
        ("max_instances", True),
        ("max_usd_per_day", "nan"),
        ("max_usd_per_day", 0),
        ("max_usd_per_day", -1),
        ("max_usd_per_day", 1_000_001),
        ("monthly_budget_usd", 1e300),
        ("max_instances", "٣"),
        ("max_instances", "1_0"),
        ("target_drain_s", "1e300"),
        ("max_duration_s", 604_801),
        ("monthly_budget_usd", -1),
        ("monthly_budget_usd", 20),
        ("name", "Med Å"),
        ("name", "press-account"),
        ("bucket_name", "Recordings"),
        ("bucket_name", "ab"),
        ("bucket_name", "sthree-recordings"),
        ("bucket_name", "recordings-s3alias"),
        ("region", "Stockholm"),
        ("region", "xx-nowhere-9"),
        ("region", "eu-north-9"),
        ("region", "eu-north-١"),
        ("account", "42"),
        ("account", "１２３４５６７８９０１２"),
        ("local", "perhaps"),
        ("model", 3),
        ("model", "kb-whisper-å"),
        ("model", 201 * "x"),
        ("device", "tpu"),
        ("default_language", "Swedish"),
        ("instance_types", ""),
        ("instance_types", ["big"]),
        ("instance_types", 7),
        ("availability_zones", "us-east-1a"),
        ("availability_zones", []),
        ("availability_zones", "eu-north-1a,eu-north-1a"),
        ("availability_zones", "eu-north-1-sto-1a"),
        ("instance_types", "g6.xlarge,g6.xlarge"),
        ("instance_types", [f"g{number}.xlarge" for number in range(101)]),
        ("ami_parameter", "ami"),
        ("ami_parameter", "/aws/service/ami"),
        ("ami_parameter", 16 * "/a"),
        ("ami_parameter", "/" + 1000 * "a"),
        ("root_volume_gib", 20),
        ("root_volume_gib", 17_000),
        ("no_capacity_after_s", 15 * 86_400),
        ("oldest_wait_alarm_s", 7_200),
        ("max_failures", 11),
        ("job_ttl_days", 31),
        ("uploads_expire_days", 89),
        ("uploads_expire_days", 0),
        ("results_expire_days", 36_501),
        ("linger_s", -1),
        ("lease_s", 44),
        ("lease_s", 50_000),
        ("idle_limit_s", 420),
        ("max_life_s", 200),
        ("max_life_s", 510),
        ("max_life_s", 21_601),
        ("callback_url", "example.org"),
        ("callback_url", "https://[example.org"),
        ("callback_url", "https://user:password@example.org/"),
        ("callback_url", "https://example.org/hook?token=whsec_MfKQ9r"),
        ("callback_url", "https://example.org/hook#whsec_MfKQ9r"),
        ("callback_url", "https://example.org/?"),
        ("callback_url", "https://example.org/" + 1000 * "x"),
        ("callback_url", "https://exam ple.org/"),
        ("callback_url", "https://exam\nple.org/"),
        ("callback_url", "https://example.org/\0"),
        ("callback_url", "ht\ntps://example.org/"),
        ("callback_url", "https://example.org:99999/"),
        ("callback_url", "https://example.org:0/"),
        ("callback_url", "https://example.org:9000/"),
        ("callback_url", "https://10.0.0.1/"),
        ("callback_url", "https://127.1/"),
        ("callback_url", "https://0x7f000001/"),
        ("callback_url", "https://[::1]/"),
        ("callback_url", "https://169.254.169.254/"),
        ("callback_url", "https://localhost/"),
        ("callback_url", "https://receiver/"),
        ("callback_url", "https://receiver.internal/"),
        ("callback_url", f"https://{64 * 'x'}.example.org/"),
        ("callback_url", "https://example..org/"),
        ("allowed_callback_hosts", "https://example.org"),
        ("allowed_callback_hosts", "example.org:443"),
        ("allowed_callback_hosts", "*"),
        ("allowed_callback_hosts", "*.example.org"),
        ("allowed_callback_hosts", "Example.org"),
        ("allowed_callback_hosts", "räksmörgås.se"),
        ("allowed_callback_hosts", "a b.example.org"),
        ("allowed_callback_hosts", "localhost"),
        ("allowed_callback_hosts", "192.168.1.1"),
        ("allowed_callback_hosts", "example.org,*.example.org"),
        ("allowed_callback_hosts", [f"host-{number}.example.org" for number in range(200)]),
        ("log_retention_days", 31),
        ("alarm_topic_arn", "on-call"),
        ("alarm_topic_arn", "arn:aws:sns:eu-west-1:123456789012:on-call"),
        ("alarm_topic_arn", "arn:aws-cn:sns:eu-north-1:123456789012:on-call"),
        ("alarm_topic_arn", f"arn:aws:sns:eu-north-1:123456789012:{257 * 't'}"),
        ("alarm_topic_arn", "arn:aws:sns:eu-north-1:１２３４５６７８９０１２:on-call"),
        ("alarm_email", "ada"),
        ("alarm_email", "é@example.org"),
        ("alarm_email", "ada@example.org,bob@example.org"),
        ("alarm_email", 243 * "a" + "@example.org"),
    ],
)
def test_a_wrong_setting_is_refused_with_one_sentence_that_names_it(key: str, value: object) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Config.from_context({key: value})

    assert key in refusal.value.message
    assert re.search(r"[.?]$", refusal.value.message)
    assert "\n" not in refusal.value.message


@pytest.mark.parametrize(
    "settings",
    [
        {"callback_url": "https://receiver.example.org:8443/hook"},
        {"callback_url": "HTTPS://Receiver.Example.org/hook"},
        {"callback_url": "https://räksmörgås.se/krok"},
        {"callback_url": "https://8.8.8.8/hook"},
        {"callback_url": "http://localhost:8000/hook", "local": True},
        {"allowed_callback_hosts": "receiver.example.org,xn--rksmrgs-5wao1o.se,8.8.8.8"},
        {"alarm_email": 242 * "a" + "@example.org"},
        {"alarm_topic_arn": f"arn:aws:sns:eu-north-1:123456789012:{256 * 't'}"},
        {"alarm_topic_arn": "arn:aws-cn:sns:cn-north-1:123456789012:on-call", "region": "cn-north-1"},
        {"ami_parameter": 15 * "/a"},
        {"region": "us-gov-west-1"},
        {"max_usd_per_day": 1_000_000},
        {"max_life_s": 511},
        {"max_usd_per_day": " 1.5e2 "},
    ],
    ids=str,
)
def test_what_is_just_right_is_taken(settings: dict[str, object]) -> None:
    Config.from_context(settings)


def test_a_row_outlives_its_recording_by_two_days_or_it_would_be_transcribed_again() -> None:
    assert Config.from_context({"uploads_expire_days": 30, "job_ttl_days": 32}).job_ttl_days == 32

    with pytest.raises(ConfigurationError, match='"job_ttl_days" must be at least 33'):
        Config.from_context({"uploads_expire_days": 31, "job_ttl_days": 32})


def test_no_job_waits_longer_than_its_recording_is_kept() -> None:
    with pytest.raises(ConfigurationError, match='"no_capacity_after_s" must be at most "uploads_expire_days"'):
        Config.from_context({"uploads_expire_days": 1, "no_capacity_after_s": 86_401})


def test_the_limit_of_instances_is_told_with_its_reason() -> None:
    with pytest.raises(ConfigurationError, match=r'"max_instances" must be at most 1000 \(.+\), not 10000\.'):
        Config.from_context({"max_instances": "10000"})


@pytest.mark.parametrize("told", [{"alarm_email": "ops@example.org"}, {"alarm_topic_arn": TOPIC_ARN}])
def test_a_budget_may_tell_an_address_or_a_topic(told: dict[str, str]) -> None:
    assert Config.from_context({"monthly_budget_usd": 20, **told}).monthly_budget_usd == 20


def test_every_setting_says_what_it_is_and_its_default() -> None:
    (body,) = [node.body for node in ast.walk(ast.parse(inspect.getsource(Config))) if isinstance(node, ast.ClassDef)]
    said = {
        one.target.id: next_one.value.value
        for one, next_one in pairwise(body)
        if isinstance(one, ast.AnnAssign) and isinstance(next_one, ast.Expr)
    }

    assert set(said) == {field.name for field in fields(Config)}
    assert not [name for name, text in said.items() if "efault" not in text]


def test_a_misspelt_setting_is_answered_with_the_right_spelling() -> None:
    with pytest.raises(ConfigurationError, match='Did you mean "max_instances"'):
        Config.from_context({"max_instance": 5})
