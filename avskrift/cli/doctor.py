"""`avskrift doctor`: what an account needs for a deployment, and whether a deployment is well."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avskrift.cli.terminal import out, put_out
from avskrift.errors import ConfigurationError
from avskrift.local.settings import CHECKOUT, DEFAULT_FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from boto3.session import Session

    from avskrift.doctor.check import Check
    from avskrift.doctor.subject import Settings


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(doctor)


def doctor(
    deployment: Annotated[
        str | None,
        typer.Option(envvar="AVSKRIFT_DEPLOYMENT", help="Name of the deployment; in a checkout, that of cdk.json."),
    ] = None,
    context: Annotated[
        list[str] | None,
        typer.Option(
            "-c", "--context", metavar="NAME=VALUE", help="A setting instead of that in cdk.json; repeatable."
        ),
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="The local cloud (`avskrift cloud up`) instead of AWS.")
    ] = False,
    cloud_dir: Annotated[
        Path, typer.Option(envvar="AVSKRIFT_CLOUD_DIR", help="With --local: where that cloud keeps its state.")
    ] = DEFAULT_FOLDER,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as one JSON object.")] = False,
) -> None:
    """Look at an account before a deployment, and at the deployment after it; change nothing.

    Each line is green, yellow (works, but not as meant; or could not be looked at) or red, with the command that mends
    it. The exit status is 1 if one is red. AWS' policy ReadOnlyAccess and secretsmanager:GetSecretValue suffice; a line
    that could not be looked at names the permission it lacks.

    Examples:

        avskrift doctor

        avskrift doctor -c region=eu-west-1 -c instance_types=g5.xlarge

        avskrift doctor --deployment press --json
    """
    from avskrift.doctor.examination import examine
    from avskrift.doctor.report import print_checks, session_for

    settings = _settings(deployment, dict(_pair(text) for text in context or []), local)
    session = _local_session(cloud_dir) if local else session_for(settings.region)
    checks = examine(session, settings)
    done = _print_json(settings, list(checks)) if as_json else print_checks(checks, out)
    if not all(check.ok for check in done):
        raise typer.Exit(1)


def _print_json(settings: Settings, checks: list[Check]) -> list[Check]:
    answer = {
        "deployment": settings.name,
        "region": settings.region,
        "ok": all(check.ok for check in checks),
        "checks": [asdict(check) for check in checks],
    }
    put_out(json.dumps(answer, ensure_ascii=False, indent=2))
    return checks


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigurationError(f"-c takes name=value, such as region=eu-west-1; {text!r} has no '='.")
    return name, value


def _local_session(cloud_dir: Path) -> Session:
    from avskrift.local.cloud import Cloud

    return Cloud.attach(cloud_dir).session()


def _settings(deployment: str | None, context: Mapping[str, str], local: bool) -> Settings:
    """Of the checkout that this command runs from; elsewhere only a name and the shell's region are known."""
    from avskrift.doctor.subject import Settings

    if (CHECKOUT / "cdk.json").exists():
        from avskrift.local.deploy import LOCAL_CONTEXT
        from infra.checkout import config_of

        named = {"name": deployment} if deployment else {}
        return Settings.of(config_of({**(LOCAL_CONTEXT if local else {}), **context, **named}))
    if context:
        raise ConfigurationError("-c needs a checkout of avskrift, whose infra/config.py knows the settings.")
    region = _region_of_shell()
    name = deployment or "avskrift"
    return Settings(name=name, region=region, ami_parameter=f"/avskrift/{name}/ami")


def _region_of_shell() -> str:
    import boto3

    region = boto3.Session().region_name
    if not region:
        raise ConfigurationError("No region is set: set AWS_REGION, or region in the AWS configuration file.")
    return region
