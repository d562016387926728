"""Deploy to AWS (``scripts/deploy``): what has to be right beforehand, the real CDK command line, and what comes next.

Beside the stack it makes two things that no stack should own: the parameter that names the AMI (a template change would
reset a promoted image) and the account's service-linked role for spot instances.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from avskrift.errors import ConfigurationError
from infra.config import Config

CHECKOUT = Path(__file__).resolve().parent.parent
OUTPUTS_FILE = CHECKOUT / ".avskrift" / "outputs.json"
BOOTSTRAP_STACK = "CDKToolkit"
NO_IMAGE = "none"
SPOT_SERVICE = "spot.amazonaws.com"

HELP = """\
Deploys avskrift into the AWS account of the credentials at hand (environment, AWS_PROFILE or SSO), with the settings
in cdk.json; infra/config.py lists all of them. Running it again updates the deployment.

examples:
  scripts/deploy                                      as cdk.json says
  scripts/deploy -c region=eu-west-1 -c name=press    another region, another name
  scripts/deploy -c callback_url=https://example.org/hook -c default_language=sv
  scripts/deploy --destroy                            removes it; recordings, transcripts and job rows stay
                                                      (unless retain_data is false: then empty the bucket first)
"""

NEXT_STEPS = """
Next:
  1. Name the machine image (now {image}; while it is none, jobs end as no_capacity):
     aws ssm put-parameter --region {region} --name {ami_parameter} --overwrite --value ami-...
  2. A new account may start no GPU instances: look at the Service Quotas of EC2 for
     "All G and VT Spot Instance Requests" and "Running On-Demand G and VT instances" (4 vCPUs an instance).
  3. Upload a recording: aws s3 cp talk.mp3 s3://{bucket}/uploads/
  4. The key to verify webhooks with: whsec_ followed by "current" of the secret
     aws secretsmanager get-secret-value --region {region} --secret-id {secret} --query SecretString
"""


@dataclass(frozen=True)
class Target:
    """Where a deployment goes: the account that was reached, with the settings for it."""

    session: boto3.Session
    account: str
    config: Config
    context: Mapping[str, str]
    """Settings given on the command line, passed on to the CDK."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of ``scripts/deploy``; ends with one sentence when something has to be put right first."""
    options = _parse(arguments)
    try:
        target = reach_account(_config(options.context), options.context)
        if options.destroy:
            _destroy(target, options.yes)
        else:
            _deploy(target, options.yes)
    except ConfigurationError as error:
        sys.exit(error.message)
    except ClientError as error:
        sys.exit(f"AWS refused {error.operation_name}: {error.response['Error']['Message']}")
    except BotoCoreError as error:
        sys.exit(f"AWS could not be reached: {error}")


def reach_account(config: Config, context: Mapping[str, str]) -> Target:
    """Ask AWS who we are.

    Raises :class:`ConfigurationError` without usable credentials, or with those of another account than configured.
    """
    try:
        session = boto3.Session(region_name=config.region)
        account = session.client("sts").get_caller_identity()["Account"]
    except NoCredentialsError as error:
        raise ConfigurationError(
            "No AWS credentials were found: run aws configure or aws sso login, or set AWS_PROFILE."
        ) from error
    except (BotoCoreError, ClientError) as error:
        raise ConfigurationError(f"The AWS credentials can't be used in {config.region}: {error}") from error
    if config.account not in ("", account):
        raise ConfigurationError(
            f'These credentials are for account {account}, but the setting "account" says {config.account}.'
        )
    return Target(session=session, account=account, config=config, context=context)


def check_zones(target: Target) -> None:
    """Raise :class:`ConfigurationError` when a configured zone is none of this account's."""
    zones = target.session.client("ec2").describe_availability_zones()["AvailabilityZones"]
    offered = sorted(zone["ZoneName"] for zone in zones)
    missing = [zone for zone in target.config.availability_zones if zone not in offered]
    if missing:
        raise ConfigurationError(
            f'{", ".join(missing)} can\'t be used by this account: set "availability_zones" in cdk.json to some of '
            f"{', '.join(offered)}."
        )


def warnings(config: Config) -> list[str]:
    """What is allowed but may not be meant, one sentence each."""
    if config.callback_url:
        return []
    hosts = ", ".join(config.allowed_callback_hosts) or "none so far"
    return [
        'The setting "callback_url" is empty: jobs will send no webhook unless they name an address of a host '
        f'in "allowed_callback_hosts" ({hosts}).'
    ]


def ensure_image_parameter(target: Target) -> str:
    """The AMI parameter's value; where it is absent it is made, saying that there is no image yet."""
    ssm, name = target.session.client("ssm"), target.config.ami_parameter
    try:
        return ssm.get_parameter(Name=name)["Parameter"]["Value"]
    except ssm.exceptions.ParameterNotFound:
        ssm.put_parameter(
            Name=name,
            Value=NO_IMAGE,
            Type="String",
            Description=f"AMI of the avskrift deployment {target.config.name}; {NO_IMAGE}: launch nothing.",
        )
        return NO_IMAGE


def ensure_spot_role(target: Target) -> None:
    """Make the role with which EC2 manages spot instances, unless the account has it."""
    iam = target.session.client("iam")
    try:
        iam.create_service_linked_role(AWSServiceName=SPOT_SERVICE)
    except iam.exceptions.InvalidInputException:
        return  # "has been taken in this account": what we want


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/deploy", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "-c",
        "--context",
        action="append",
        default=[],
        type=_setting,
        metavar="NAME=VALUE",
        help="a setting, instead of the one in cdk.json; can be given several times",
    )
    parser.add_argument("--destroy", action="store_true", help="remove the deployment")
    parser.add_argument("-y", "--yes", action="store_true", help="don't ask before changing the account")
    options = parser.parse_args(arguments)
    options.context = dict(options.context)
    return options


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f'"{text}" is no setting: write NAME=VALUE')
    return name, value


def _config(context: Mapping[str, str]) -> Config:
    defaults = json.loads((CHECKOUT / "cdk.json").read_text())["context"]
    return Config.from_context({**defaults, **context})


def _deploy(target: Target, sure: bool) -> None:
    check_zones(target)
    for warning in warnings(target.config):
        _say(warning)
    _confirm(f"Deploy {target.config.name} into account {target.account}, {target.config.region}?", sure)
    ensure_spot_role(target)
    image = ensure_image_parameter(target)
    if not _stack_exists(target, BOOTSTRAP_STACK):
        _say("The CDK's own bucket and roles are missing in this region: making them.")
        _cdk(target, "bootstrap", f"aws://{target.account}/{target.config.region}")
    OUTPUTS_FILE.parent.mkdir(exist_ok=True)
    _cdk(target, "deploy", target.config.name, "--require-approval", "never", "--outputs-file", str(OUTPUTS_FILE))
    outputs = json.loads(OUTPUTS_FILE.read_text())[target.config.name]
    _say(
        NEXT_STEPS.format(
            ami_parameter=target.config.ami_parameter,
            image=image,
            bucket=outputs["BucketName"],
            secret=outputs["SecretId"],
            region=target.config.region,
        )
    )


def _destroy(target: Target, sure: bool) -> None:
    config = target.config
    _confirm(f"Remove {config.name} from account {target.account}, {config.region}?", sure)
    _cdk(target, "destroy", config.name, "--force")
    kept = f"the parameter {config.ami_parameter}, its AMI"
    _say(f"Removed. Still there: {'the bucket, the table, ' if config.keeps_data else ''}{kept}.")


def _stack_exists(target: Target, name: str) -> bool:
    try:
        target.session.client("cloudformation").describe_stacks(StackName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return False
        raise
    return True


def _cdk(target: Target, *command: str) -> None:
    """Run the pinned CDK command line with the Node beside our Python."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "AWS_REGION": target.config.region,
        "CDK_DISABLE_CLI_TELEMETRY": "1",
    }
    settings = [part for name, value in target.context.items() for part in ("-c", f"{name}={value}")]
    program = str(CHECKOUT / "node_modules" / ".bin" / "cdk")
    done = subprocess.run([program, *command, *settings, "--no-notices"], cwd=CHECKOUT, env=environment, check=False)
    if done.returncode:
        raise ConfigurationError(f"cdk {command[0]} failed; its own message stands above.")


def _confirm(question: str, sure: bool) -> None:
    if sure:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError("Nobody is there to ask: repeat the command with --yes.")
    if input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
        raise ConfigurationError("Nothing was changed.")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
