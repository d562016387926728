"""Deploy to AWS (``scripts/deploy``): a look at the account, the real CDK command line, a look at the deployment.

Beside the stack it makes two things that no stack should own: the parameter that names the AMI (a template change would
reset a promoted image) and the account's service-linked role for spot instances.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass

from avskrift.doctor.account import BOOTSTRAP_PARAMETER, MIN_BOOTSTRAP, SPOT_ROLES
from avskrift.doctor.check import Level
from avskrift.doctor.examination import examine, examine_plan
from avskrift.doctor.subject import Settings
from avskrift.errors import ConfigurationError
from avskrift.jobs.observation import NO_IMAGE
from infra.checkout import CHECKOUT, add_context, config_of
from infra.operator import Target, budgets_region, cdk, confirm, reach_account, run, say, show

STATE = CHECKOUT / ".avskrift"
ASSEMBLY = STATE / "cdk.out"
OUTPUTS_FILE = STATE / "outputs.json"
SPOT_SERVICE = "spot.amazonaws.com"

HELP = """\
Deploys avskrift into the AWS account of the credentials at hand (environment, AWS_PROFILE or SSO), with the settings
in cdk.json; infra/config.py lists all of them. Running it again updates the deployment.

It looks at the account first (avskrift doctor) and stops if a line is red, shows what would change, asks, deploys, and
looks at what was deployed. The exit status is 0 if it was deployed, whatever is left to do.

examples:
  scripts/deploy                                      as cdk.json says
  scripts/deploy -c region=eu-west-1 -c name=press    another region, another name
  scripts/deploy -c callback_url=https://example.org/hook -c default_language=sv
  scripts/deploy --repair                             brings back what somebody removed or changed by hand
  scripts/deploy --anyway                             also where a line is red, such as a quota that was asked for
"""

NEXT_STEPS = """
Deployed. Upload a recording: aws s3 cp talk.mp3 s3://{bucket}/uploads/ --region {region}
The key to verify webhooks with is whsec_ followed by "current" of the secret:
aws secretsmanager get-secret-value --region {region} --secret-id {secret} --query SecretString
The alarms {name}-capacity-no-beat and {name}-reconcile-no-beat ring once at first, until both functions have run.
To look again: avskrift doctor --deployment {name}. To remove it: {remove}\
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of ``scripts/deploy``; ends with one sentence when something has to be put right first."""
    options = _parse(arguments)
    wishes = Wishes(sure=options.yes, anyway=options.anyway, repair=options.repair)
    run(lambda: deploy(reach_account(config_of(options.context), options.context), wishes))


@dataclass(frozen=True)
class Wishes:
    """How to deploy."""

    sure: bool = False
    """Don't ask."""
    anyway: bool = False
    """Although a line of the doctor is red."""
    repair: bool = False
    """Look at the resources themselves, not only at the last template."""


def deploy(target: Target, wishes: Wishes) -> None:
    """Check, show, ask, deploy, look. Raises :class:`ConfigurationError`."""
    settings = Settings.of(target.config)
    say(f"The account, for {target.config.name} in {target.config.region}:")
    _stop_if_red([check.level for check in show(examine_plan(target.session, settings))], wishes.anyway)
    _refuse_foreign_budget(target)
    synthesize(target)
    cdk(target, "diff", "--app", str(ASSEMBLY), "--method", "template")
    confirm(f"Deploy {target.config.name} into account {target.account}, {target.config.region}?", wishes.sure)
    ensure_spot_role(target)
    ensure_image_parameter(target)
    ensure_bootstrap(target)
    outputs = _deploy_assembly(target, wishes.repair)
    say("\nThe deployment:")
    levels = [check.level for check in show(examine(target.session, settings))]
    secret, bucket = outputs["SecretId"], outputs["BucketName"]
    remove = settings.script("destroy")
    say(NEXT_STEPS.format(bucket=bucket, secret=secret, region=settings.region, name=settings.name, remove=remove))
    _name_unwanted_stack(target)
    if Level.RED in levels:
        say("It does not work before the red lines above are mended.")


def synthesize(target: Target) -> None:
    """Turn the code into a cloud assembly: what is shown is what is deployed."""
    STATE.mkdir(exist_ok=True)
    cdk(target, "synth", "--quiet", "--output", str(ASSEMBLY))


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
    if not iam.list_roles(PathPrefix=SPOT_ROLES)["Roles"]:
        iam.create_service_linked_role(AWSServiceName=SPOT_SERVICE)


def ensure_bootstrap(target: Target) -> None:
    """Make the CDK's own bucket and roles, where they are missing or too old."""
    ssm = target.session.client("ssm")
    try:
        version = ssm.get_parameter(Name=BOOTSTRAP_PARAMETER)["Parameter"]["Value"]
    except ssm.exceptions.ParameterNotFound:
        version = "0"
    if not version.isdecimal() or int(version) < MIN_BOOTSTRAP:
        say("The CDK's own bucket and roles are missing in this region, or too old: making them.")
        cdk(target, "bootstrap", f"aws://{target.account}/{target.config.region}", "--app", "")


def _deploy_assembly(target: Target, repair: bool) -> dict[str, str]:
    """Deploy every stack of the assembly; the outputs of the deployment's own."""
    OUTPUTS_FILE.unlink(missing_ok=True)
    arguments = [
        "--app",
        str(ASSEMBLY),
        "--all",
        "--require-approval",
        "never",
        *(["--revert-drift"] if repair else []),
    ]
    cdk(target, "deploy", *arguments, "--outputs-file", str(OUTPUTS_FILE))
    outputs: dict[str, str] = json.loads(OUTPUTS_FILE.read_text(encoding="utf-8"))[target.config.name]
    return outputs


def _name_unwanted_stack(target: Target) -> None:
    """The budget's stack of an earlier deployment is in no assembly any more, so the CDK leaves it as it is."""
    budget = target.budget
    if not target.config.monthly_budget_usd and budgets_region(target) == target.config.region:
        delete = f"aws cloudformation delete-stack --stack-name {budget.name} --region {budget.region}"
        say(f"No budget is asked for any more, but the stack {budget.name} with the last one is still there: {delete}")


def _refuse_foreign_budget(target: Target) -> None:
    """Deployments of one name in two regions would share the stack of their budgets: the last one would take it."""
    budget, owner = target.budget, budgets_region(target) if target.config.monthly_budget_usd else None
    if owner not in (None, target.config.region):
        whose = f"of the deployment {target.config.name} in {owner}" if owner else "somebody else's"
        raise ConfigurationError(
            f"The stack {budget.name} in {budget.region} is {whose}: give this deployment another name, or no budget "
            "(-c monthly_budget_usd=0)."
        )


def _stop_if_red(levels: Sequence[Level], anyway: bool) -> None:
    count = levels.count(Level.RED)
    if count and not anyway:
        what = "1 line is" if count == 1 else f"{count} lines are"
        raise ConfigurationError(f"{what} red: mend what it says there, or deploy all the same with --anyway.")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/deploy", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_context(parser)
    parser.add_argument("-y", "--yes", action="store_true", help="don't ask before changing the account")
    parser.add_argument("--anyway", action="store_true", help="deploy although a line of the doctor is red")
    parser.add_argument(
        "--repair", action="store_true", help="also bring back what was removed or changed by hand, as the stack says"
    )
    options = parser.parse_args(arguments)
    options.context = dict(options.context)
    return options


if __name__ == "__main__":
    main()
