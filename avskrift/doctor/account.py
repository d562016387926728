"""Who we are, where, and what the account must have once for all deployments."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
from boto3.session import Session
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    UnknownRegionError,
)

from avskrift.doctor.check import Check, green, red, yellow
from avskrift.doctor.subject import Settings, Subject

SIGN_IN = "aws sso login, or aws configure; or set AWS_PROFILE"
SPOT_ROLES = "/aws-service-role/spot.amazonaws.com/"
BOOTSTRAP_PARAMETER = "/cdk-bootstrap/hnb659fds/version"
MIN_BOOTSTRAP = 6
"""What the rule CheckBootstrapVersion in every CDK template asks for."""


def identify(session: Session, settings: Settings) -> tuple[Check, str]:
    """The account of the credentials; empty, with a red line, when nothing else can be looked at."""
    name, region = "credentials", settings.region
    if not _is_region(session, region):
        return red(
            "region", f"{region} is no AWS region that this SDK knows.", settings.deploy("region=eu-north-1")
        ), ""
    try:
        identity = session.client("sts").get_caller_identity()
    except (NoCredentialsError, PartialCredentialsError, SSOError) as error:
        return red(name, f"There are no usable AWS credentials: {error}", SIGN_IN), ""
    except ClientError as error:
        return _refused(error, region), ""
    except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint_url in the configuration that is no address
        return red(name, f"AWS could not be asked: {error}", SIGN_IN), ""
    account = identity["Account"]
    if settings.account not in ("", account):
        told = f'The credentials are for account {account}, the setting "account" says {settings.account}.'
        return red(name, told, SIGN_IN), ""
    return green(name, f"Account {account}, as {identity['Arn']}."), account


def _is_region(session: Session, region: str) -> bool:
    try:
        return region in session.get_available_regions("ec2", session.get_partition_for_region(region))
    except UnknownRegionError:
        return False


def _refused(error: ClientError, region: str) -> Check:
    fault = error.response["Error"]
    if fault.get("Code") == "InvalidClientTokenId":
        told = f"AWS does not know these credentials in {region}: they are wrong, or the account has not enabled it."
        return red("credentials", told, f"{SIGN_IN}; or: aws account enable-region --region-name {region}")
    told = f"AWS does not accept the credentials ({fault.get('Code')}): {fault.get('Message', '')}"
    return red("credentials", told, SIGN_IN)


def region(subject: Subject) -> Iterator[Check]:
    """Where; other commands look where the shell says, not where ``cdk.json`` does."""
    here, elsewhere = subject.settings.region, boto3.Session().region_name
    if elsewhere == here or subject.settings.local:
        yield green("region", f"{here}.")
    else:
        told = f"{here}; other commands look in {elsewhere}" if elsewhere else f"{here}; other commands know no region"
        yield yellow("region", f"{told}.", f"export AWS_REGION={here} AWS_DEFAULT_REGION={here}")


def spot_role(subject: Subject) -> Iterator[Check]:
    """EC2 needs a service-linked role to manage spot instances; the launching function may not make it."""
    name = "spot role"
    if subject.session.client("iam").list_roles(PathPrefix=SPOT_ROLES)["Roles"]:
        yield green(name, "EC2 has its service-linked role for spot instances.")
    elif subject.awaits_deploy:
        yield yellow(
            name,
            "EC2's service-linked role for spot instances is not there yet.",
            f"{subject.settings.deploy()} makes it",
        )
    elif subject.settings.local:
        yield green(name, "The local cloud needs none.")
    else:
        yield red(
            name,
            "EC2's service-linked role for spot instances is missing: no spot instance can be launched.",
            "aws iam create-service-linked-role --aws-service-name spot.amazonaws.com",
        )


def bootstrap(subject: Subject) -> Iterator[Check]:
    """The CDK's own bucket and roles in this region; what is deployed works without them."""
    name, parameters = "CDK bootstrap", subject.session.client("ssm")
    try:
        found = parameters.get_parameter(Name=BOOTSTRAP_PARAMETER)["Parameter"]["Value"]
    except parameters.exceptions.ParameterNotFound:
        yield yellow(
            name, "The CDK's own bucket and roles are not there yet.", f"{subject.settings.deploy()} makes them"
        )
        return
    if found.isdecimal() and int(found) >= MIN_BOOTSTRAP:
        yield green(name, f"Version {found}.")
    else:
        told = f"Version {found} is older than {MIN_BOOTSTRAP}, which the stack needs."
        yield yellow(name, told, f"cdk bootstrap aws://{subject.account}/{subject.settings.region}")
