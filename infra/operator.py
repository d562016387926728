"""What ``scripts/deploy``, ``destroy`` and ``cleanup`` share: the account, the CDK command line, the asking."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from rich.console import Console

from avskrift.doctor.check import Check
from avskrift.doctor.report import print_checks, session_for
from avskrift.doctor.stack import describe_stack
from avskrift.errors import AvskriftError, ConfigurationError
from avskrift.jobs.fleet import DEPLOYMENT_TAG
from avskrift.output import let_go_of_stdout, writing
from infra.checkout import CHECKOUT
from infra.config import Config
from infra.limits import ACCOUNT_STACK_SUFFIX, BILLING_REGION, REGION_TAG


@dataclass(frozen=True)
class Stack:
    """A stack by its name, with a session for its region."""

    name: str
    region: str
    session: boto3.Session


@dataclass(frozen=True)
class Target:
    """A deployment's account and region, as reached, and its settings."""

    session: boto3.Session
    account: str
    config: Config
    context: Mapping[str, str]
    """Settings given on the command line, passed on to the CDK."""

    @property
    def stack(self) -> Stack:
        """The deployment's own, which may not be there."""
        return Stack(self.config.name, self.config.region, self.session)

    @cached_property
    def budget(self) -> Stack:
        """That of its budget, which may not be there, or be that of a deployment of the same name elsewhere."""
        return Stack(f"{self.config.name}{ACCOUNT_STACK_SUFFIX}", BILLING_REGION, session_for(BILLING_REGION))


def tags_of(stack: Stack) -> dict[str, str] | None:
    """A stack's tags; None where there is no such stack."""
    found = describe_stack(stack.session, stack.name)
    return None if found is None else {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}


def budgets_region(target: Target) -> str | None:
    """Region of the deployment that the budget's stack belongs to; empty: somebody else's; None: there is none."""
    tags = tags_of(target.budget)
    if tags is None:
        return None
    return tags.get(REGION_TAG, "") if tags.get(DEPLOYMENT_TAG) == target.config.name else ""


def run(command: Callable[[], None]) -> None:
    """Do it; what has to be put right first ends the process with one sentence, never a stack trace."""
    try:
        command()
    except AvskriftError as error:
        sys.exit(error.message)
    except ClientError as error:
        sys.exit(f"AWS refused {error.operation_name}: {error.response['Error'].get('Message', error)}")
    except BotoCoreError as error:
        sys.exit(f"AWS could not be reached: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # whoever reads along has read enough
        let_go_of_stdout()
        sys.exit(1)


def reach_account(config: Config, context: Mapping[str, str]) -> Target:
    """Ask AWS who we are.

    Raises :class:`ConfigurationError` without usable credentials, or with those of another account than configured.
    """
    try:
        session = session_for(config.region)
        account = session.client("sts").get_caller_identity()["Account"]
    except NoCredentialsError as error:
        raise ConfigurationError(
            "No AWS credentials were found: run aws configure or aws sso login, or set AWS_PROFILE."
        ) from error
    except (BotoCoreError, ClientError) as error:
        raise ConfigurationError(f"The AWS credentials can't be used in {config.region}: {error}") from error
    except ValueError as error:
        raise ConfigurationError(f"{error}: mend endpoint_url in the AWS configuration file.") from error
    if config.account not in ("", account):
        raise ConfigurationError(
            f'These credentials are for account {account}, but the setting "account" says {config.account}.'
        )
    return Target(session=session, account=account, config=config, context=context)


def cdk(target: Target, *command: str) -> None:
    """Run the pinned CDK command line with the Node beside our Python."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "AWS_REGION": target.config.region,
        "CDK_DISABLE_CLI_TELEMETRY": "1",
    }
    settings = [part for name, value in target.context.items() for part in ("-c", f"{name}={value}")]
    program = str(CHECKOUT / "node_modules" / ".bin" / "cdk")
    sys.stdout.flush()
    done = subprocess.run([program, *command, *settings, "--no-notices"], cwd=CHECKOUT, env=environment, check=False)
    if done.returncode:
        raise ConfigurationError(f"cdk {command[0]} failed; its own message stands above.")


def confirm(question: str, sure: bool) -> None:
    """Return if the answer is yes. Raises :class:`ConfigurationError` if it is not, or nobody can be asked."""
    if sure:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError("Nobody is there to ask: repeat the command with --yes.")
    if input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
        raise ConfigurationError("Nothing was changed.")


def show(checks: Iterable[Check]) -> list[Check]:
    """Print the doctor's lines as they come; gives them back."""
    return print_checks(checks, Console(highlight=False, soft_wrap=True, markup=False, emoji=False))


def say(text: str) -> None:
    with writing():
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
