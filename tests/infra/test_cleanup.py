"""scripts/cleanup against moto's EC2, S3 and DynamoDB: it finds what leaked, and touches nothing else."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from moto.ec2.models import ec2_backends

from avskrift.jobs.instance_prices import INSTANCE_PK
from avskrift.jobs.layout import checkpoint_key
from avskrift.jobs.model import Job, JobStatus
from infra import cleanup
from infra.config import Config
from infra.operator import Target
from tests.doctor.account import ACCOUNT, NO_STACK, OUTPUTS, REGION, Account, Answer, function, open_account, stack

HOUR_S = 3600.0
OURS = {"avskrift:deployment": "press"}


@dataclass
class Yard:
    """An account in moto with the stack of a deployment, some of its things and some of others'."""

    target: Target
    deployment: Any
    answers: dict[str, Answer]

    @property
    def ec2(self) -> Any:
        return self.target.session.client("ec2")

    def launch(self, tags: dict[str, str], image_id: str = "ami-0123456789abcdef0") -> str:
        specification = [{"ResourceType": "instance", "Tags": _tags(tags)}] if tags else []
        launched = self.ec2.run_instances(
            ImageId=image_id, MinCount=1, MaxCount=1, InstanceType="g4dn.xlarge", TagSpecifications=specification
        )
        return str(launched["Instances"][0]["InstanceId"])

    def note(self, instance_id: str) -> None:
        """What capacity writes down of a launch."""
        self.deployment.table.put_values({"pk": f"{INSTANCE_PK}{instance_id}", "usd_per_hour": 0.2})

    def build(self, day: int, tags: dict[str, str] | None = None) -> tuple[str, str]:
        """An image of that day of January with its snapshot."""
        source = self.launch({})
        image_id = self.ec2.create_image(InstanceId=source, Name=f"image-{day}")["ImageId"]
        self.ec2.terminate_instances(InstanceIds=[source])
        ec2_backends[ACCOUNT][REGION].amis[image_id].creation_date = datetime(2026, 1, day, tzinfo=UTC)
        (image,) = self.ec2.describe_images(ImageIds=[image_id])["Images"]
        snapshot_id = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
        self.ec2.create_tags(Resources=[image_id, snapshot_id], Tags=_tags(OURS if tags is None else tags))
        return image_id, snapshot_id

    def name_image(self, parameter: str, image_id: str, kind: str = "String") -> None:
        ssm: Any = self.target.session.client("ssm")
        ssm.put_parameter(Name=parameter, Value=image_id, Type=kind, Overwrite=True)

    def left_over(self, age_s: float = 0.0) -> dict[str, str]:
        """Name → why, of what a look so much later finds."""
        found = cleanup.leftovers(self.target, self.outputs, time.time() + age_s)
        return {one.name: one.why for one in found}

    @property
    def outputs(self) -> dict[str, str]:
        return {} if self.answers["DescribeStacks"] is NO_STACK else _outputs(self.deployment)

    def clean(self, age_s: float = 0.0) -> None:
        cleanup.cleanup(self.target, sure=True, now=time.time() + age_s)

    def states(self) -> dict[str, str]:
        pages = self.ec2.describe_instances()["Reservations"]
        return {one["InstanceId"]: one["State"]["Name"] for page in pages for one in page["Instances"]}

    def images(self) -> set[str]:
        return {image["ImageId"] for image in self.ec2.describe_images(Owners=["self"])["Images"]}

    def snapshots(self) -> set[str]:
        return {one["SnapshotId"] for one in self.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}


def _tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": name, "Value": value} for name, value in tags.items()]


def _outputs(deployment: Any) -> dict[str, str]:
    return {**OUTPUTS, "TableName": deployment.table.name, "BucketName": deployment.bucket}


@pytest.fixture(scope="module")
def opened() -> Account:
    account = open_account()
    account.has_more = True
    return account


@pytest.fixture
def yard(opened: Account, deployment: Any, monkeypatch: pytest.MonkeyPatch) -> Yard:
    opened.answers = {
        "DescribeStacks": stack(TableName=deployment.table.name, BucketName=deployment.bucket),
        "GetFunctionConfiguration": lambda request: function(
            request, Environment={"Variables": {"AVSKRIFT_MAX_LIFE_S": "21600"}}
        ),
    }
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # a second a test
    monkeypatch.setattr("infra.operator.session_for", lambda _: opened.session)
    config = Config.from_context({"name": "press"})
    return Yard(Target(opened.session, ACCOUNT, config, {}), deployment, opened.answers)


def test_an_instance_that_works_is_no_leftover(yard: Yard, queued_job: Job) -> None:
    noted, working = yard.launch(OURS), yard.launch(OURS)
    yard.note(noted)
    yard.deployment.table.create(replace(queued_job, status=JobStatus.RUNNING, instance_id=working, attempt=1))

    assert yard.left_over(age_s=6 * HOUR_S) == {}


def test_an_instance_that_the_deployment_does_not_know_leaked_but_not_in_its_first_minutes(yard: Yard) -> None:
    unknown = yard.launch(OURS)

    assert yard.left_over(age_s=600) == {}
    assert "knows nothing of it" in yard.left_over(age_s=HOUR_S)[unknown]


def test_an_instance_older_than_it_may_be_leaked_whoever_knows_it(yard: Yard) -> None:
    old = yard.launch(OURS)
    yard.note(old)

    assert "older than an instance may be" in yard.left_over(age_s=7 * HOUR_S)[old]


def test_without_a_stack_every_instance_of_the_deployment_leaked(yard: Yard) -> None:
    left, foreign = yard.launch(OURS), yard.launch({"avskrift:deployment": "other"})
    yard.answers["DescribeStacks"] = NO_STACK

    assert set(yard.left_over()) == {left}
    yard.clean()
    assert (yard.states()[left], yard.states()[foreign]) == ("terminated", "running")


@pytest.mark.parametrize(
    ("status", "outputs", "told"),
    [
        ("CREATE_IN_PROGRESS", {}, "The stack press is in state CREATE_IN_PROGRESS."),
        ("ROLLBACK_COMPLETE", {}, "The stack press is in state ROLLBACK_COMPLETE."),
        ("DELETE_IN_PROGRESS", OUTPUTS, "The stack press is in state DELETE_IN_PROGRESS."),
        ("CREATE_COMPLETE", {"Theirs": "x"}, 'The stack press has no output "BucketName": it is somebody else\'s'),
    ],
)
def test_a_stack_that_can_not_tell_what_is_its_own_loses_no_instance(
    yard: Yard, capsys: pytest.CaptureFixture[str], status: str, outputs: dict[str, str], told: str
) -> None:
    instance = yard.launch(OURS)
    old, *_ = [yard.build(day)[0] for day in (1, 2, 3, 4)]
    listed = [{"OutputKey": name, "OutputValue": value} for name, value in outputs.items()]
    yard.answers["DescribeStacks"] = {"Stacks": [{**stack()["Stacks"][0], "StackStatus": status, "Outputs": listed}]}

    cleanup.main(["-c", "name=press", "--yes"])

    assert yard.states()[instance] == "running"
    assert old not in yard.images()
    assert told in capsys.readouterr().out

    cleanup.main(["-c", "name=press", "--yes"])

    assert capsys.readouterr().out.endswith("press left no image and no snapshot behind in eu-north-1.\n")


def test_an_instance_that_lost_our_tag_is_found_by_its_launch_template(yard: Yard) -> None:
    template = yard.ec2.create_launch_template(
        LaunchTemplateName="press", LaunchTemplateData={"ImageId": "ami-0123456789abcdef0"}
    )["LaunchTemplate"]["LaunchTemplateId"]
    bare = yard.launch({})
    yard.ec2.create_tags(Resources=[bare], Tags=_tags({"aws:ec2launchtemplate:id": template}))

    found = cleanup.leftovers(yard.target, {**yard.outputs, "LaunchTemplateId": template}, time.time() + HOUR_S)

    assert [one.name for one in found] == [bare]


def test_the_three_newest_images_stay_and_older_ones_go_with_their_snapshots(yard: Yard) -> None:
    built = [yard.build(day) for day in (1, 2, 3, 4, 5)]

    assert set(yard.left_over()) == {image for image, _ in built[:2]}

    yard.clean()

    assert {image for image, _ in built} & yard.images() == {image for image, _ in built[2:]}
    assert {snapshot for _, snapshot in built} & yard.snapshots() == {snapshot for _, snapshot in built[2:]}


def test_a_snapshot_without_our_tag_outlives_its_image(yard: Yard) -> None:
    (image, snapshot), *_ = [yard.build(day) for day in (1, 2, 3, 4)]
    yard.ec2.delete_tags(Resources=[snapshot], Tags=_tags(OURS))

    yard.clean()

    assert image not in yard.images()
    assert snapshot in yard.snapshots()


def test_an_old_image_that_somebody_needs_stays(yard: Yard) -> None:
    promoted, elsewhere, running, shared, idle, *_ = [yard.build(day)[0] for day in range(1, 9)]
    yard.name_image("/avskrift/press/ami", promoted)
    yard.name_image("/avskrift/archive/ami", elsewhere)
    yard.launch({"owner": "somebody else"}, image_id=running)
    yard.ec2.modify_image_attribute(
        ImageId=shared, LaunchPermission={"Add": [{"UserId": "999999999999"}]}, OperationType="add"
    )

    assert set(yard.left_over()) == {idle}


def test_a_parameter_anywhere_keeps_the_images_that_it_names(yard: Yard) -> None:
    named, listed, also_listed, spaced, secret, idle, *_ = [yard.build(day)[0] for day in range(1, 10)]
    yard.name_image("/elsewhere/image", named)
    yard.name_image("images", f"{listed},{also_listed}", "StringList")
    yard.name_image("/elsewhere/spaced", f" {spaced}\n")
    yard.name_image("/avskrift/archive/secret", secret, "SecureString")
    for number in range(12):
        yard.name_image(f"/elsewhere/{number}", "no image")

    assert set(yard.left_over()) == {idle}


def test_what_others_keep_secret_is_not_read(yard: Yard) -> None:
    for day in range(1, 5):
        yard.build(day)
    yard.name_image("/elsewhere/password", "hunter2", "SecureString")
    yard.name_image("/elsewhere/image", "none")
    asked: list[str] = []

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        asked.extend(request["Names"])
        return {"Parameters": []}

    yard.answers["GetParameters"] = answer

    yard.left_over()

    assert "/elsewhere/image" in asked
    assert "/elsewhere/password" not in asked


def test_a_launch_template_keeps_the_images_of_all_its_versions(yard: Yard) -> None:
    first, second, idle, *_ = [yard.build(day)[0] for day in range(1, 7)]
    template = {"LaunchTemplateName": "somebody-elses"}
    yard.ec2.create_launch_template(**template, LaunchTemplateData={"ImageId": first})
    yard.ec2.create_launch_template_version(**template, LaunchTemplateData={"ImageId": second})
    yard.ec2.create_launch_template_version(**template, LaunchTemplateData={"InstanceType": "g5.xlarge"})

    assert set(yard.left_over()) == {idle}


def test_a_snapshot_that_others_may_use_stays(yard: Yard) -> None:
    (image, lent), *_ = [yard.build(day) for day in (1, 2, 3, 4)]
    volume = yard.ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=8)["VolumeId"]
    orphan = yard.ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    yard.ec2.create_tags(Resources=[orphan], Tags=_tags(OURS))
    for snapshot_id in (lent, orphan):
        yard.ec2.modify_snapshot_attribute(
            SnapshotId=snapshot_id,
            Attribute="createVolumePermission",
            OperationType="add",
            UserIds=["999999999999"],
        )

    yard.clean(age_s=25 * HOUR_S)

    assert image not in yard.images()
    assert {lent, orphan} <= yard.snapshots()


def test_a_snapshot_of_no_image_goes_after_a_day(yard: Yard) -> None:
    volume = yard.ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=8)["VolumeId"]
    orphan = yard.ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    foreign = yard.ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    yard.ec2.create_tags(Resources=[orphan], Tags=_tags(OURS))
    _, used = yard.build(1)

    assert yard.left_over(age_s=HOUR_S) == {}
    yard.clean(age_s=25 * HOUR_S)
    assert orphan not in yard.snapshots()
    assert {foreign, used} <= yard.snapshots()


def test_work_of_a_job_that_ended_goes_for_good_and_that_of_others_stays(yard: Yard, queued_job: Job) -> None:
    table, s3, bucket = yard.deployment.table, yard.deployment.s3, yard.deployment.bucket
    table.create(queued_job)
    table.create(replace(queued_job, job_id="e" * 26, status=JobStatus.COMPLETED))
    keys = {job: checkpoint_key(job) for job in (queued_job.job_id, "e" * 26, "g" * 26)}
    for key in keys.values():
        s3.put_object(Bucket=bucket, Key=key, Body=b"chunks")
    s3.put_object(Bucket=bucket, Key="results/e/transcript.txt", Body=b"text")

    assert yard.left_over(age_s=600) == {}
    yard.clean(age_s=2 * HOUR_S)

    versions = s3.list_object_versions(Bucket=bucket)
    assert {one["Key"] for one in versions["Versions"]} == {keys[queued_job.job_id], "results/e/transcript.txt"}
    assert "DeleteMarkers" not in versions


def test_nothing_foreign_is_ever_touched(yard: Yard) -> None:
    instances = [yard.launch({}), yard.launch({"avskrift:deployment": "press2"}), yard.launch({"Name": "press"})]
    built = [yard.build(day, {"avskrift:deployment": "other"}) for day in range(1, 6)]
    yard.launch(OURS)

    yard.clean(age_s=30 * 24 * HOUR_S)

    assert {yard.states()[one] for one in instances} == {"running"}
    assert {image for image, _ in built} <= yard.images()
    assert {snapshot for _, snapshot in built} <= yard.snapshots()


def test_without_yes_it_only_lists(yard: Yard, capsys: pytest.CaptureFixture[str]) -> None:
    left = yard.launch(OURS)
    yard.answers["DescribeStacks"] = NO_STACK

    cleanup.main(["-c", "name=press"])

    printed = capsys.readouterr().out
    assert left in printed
    assert "scripts/cleanup -c name=press --yes ends these 1" in printed
    assert yard.states()[left] == "running"

    cleanup.main(["-c", "name=press", "--yes"])
    assert yard.states()[left] == "terminated"


def test_a_clean_account_is_said_to_be_clean(yard: Yard, capsys: pytest.CaptureFixture[str]) -> None:
    cleanup.main(["-c", "name=press", "--yes"])

    assert capsys.readouterr().out == "press left nothing behind in eu-north-1.\n"


def test_what_can_not_be_ended_keeps_nothing_else_from_it(yard: Yard, capsys: pytest.CaptureFixture[str]) -> None:
    ended, kept = yard.launch(OURS), yard.launch(OURS)
    yard.ec2.modify_instance_attribute(InstanceId=kept, DisableApiTermination={"Value": True})
    yard.answers["DescribeStacks"] = NO_STACK

    with pytest.raises(SystemExit, match="1 could not be ended"):
        cleanup.main(["-c", "name=press", "--yes"])

    assert (yard.states()[ended], yard.states()[kept]) == ("terminated", "running")
    assert kept in capsys.readouterr().out
