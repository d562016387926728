"""How anything here talks to AWS: to the emulator, and to nothing else, whatever the surroundings say."""

from __future__ import annotations

import os
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.model import ServiceModel

if TYPE_CHECKING:
    from avskrift.local.tls import Tls

REGION = "eu-north-1"
ACCOUNT_ID = "123456789012"
_DIRECT = "127.0.0.1,localhost"

_making_clients = threading.Lock()


def no_proxy() -> dict[str, str]:
    """Whatever web proxy this machine uses, it can't reach our loopback."""
    told = os.environ.get("NO_PROXY") or os.environ.get("no_proxy")
    hosts = f"{told},{_DIRECT}" if told else _DIRECT
    return {"NO_PROXY": hosts, "no_proxy": hosts}


def plain_environment() -> dict[str, str]:
    """This process' environment without anything that could point a child at a real AWS account."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return inherited | no_proxy() | {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


def client_environment(
    endpoint: str, ec2_endpoint: str, region: str = REGION, tls: Tls | None = None
) -> dict[str, str]:
    """The variables that make any AWS SDK, the CDK and the AWS command line talk to this cloud."""
    return {
        **(tls.environment() if tls else {}),
        **no_proxy(),
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_ENDPOINT_URL_EC2": ec2_endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def aws_config(endpoint: str, ec2_endpoint: str, region: str = REGION, tls: Tls | None = None) -> str:
    """The same as an AWS configuration file, for sessions that should not depend on the environment."""
    trust = f"ca_bundle = {tls.bundle}\n" if tls else ""
    return f"""\
[default]
region = {region}
aws_access_key_id = test
aws_secret_access_key = test
endpoint_url = {endpoint}
{trust}services = local

[services local]
ec2 =
  endpoint_url = {ec2_endpoint}
"""


@cache
def _core() -> botocore.session.Session:
    session = botocore.session.Session(session_vars={"profile": (None, [], None, None)})  # AWS_PROFILE is not heard
    session.set_config_variable("config_file", os.devnull)
    session.set_config_variable("credentials_file", os.devnull)
    return session


@cache
def _session() -> boto3.session.Session:
    """One for the process: it keeps the service models, which are slow to read."""
    return boto3.session.Session("test", "test", botocore_session=_core())


def service_model(service: str) -> ServiceModel:
    """botocore's description of a service's API."""
    with _making_clients:
        return _core().get_service_model(service)


def client(service: str, endpoint: str, region: str = REGION, ca_bundle: Path | None = None) -> Any:
    """A boto3 client against ``endpoint``; safe to call from any thread, and the client safe to share.

    ``ca_bundle`` is what it trusts where the endpoint is https.
    """
    retries: Any = {"mode": "standard", "total_max_attempts": 3}
    config = Config(connect_timeout=5, read_timeout=60, retries=retries, proxies={})
    with _making_clients:
        return _session().client(  # type: ignore[call-overload]
            service, region, endpoint_url=endpoint, config=config, verify=str(ca_bundle) if ca_bundle else None
        )
