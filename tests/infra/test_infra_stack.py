"""What the template must say; much of it (TTL, PITR, lifecycle, IAM) the emulator would not miss."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

import pytest
from aws_cdk.assertions import Match, Template

from avskrift.client import REGISTRATION_TIMEOUT_S
from avskrift.jobs.layout import UPLOADS_PREFIX
from avskrift.jobs.reconcile import CURSOR_PK
from instance.settings import AgentSettings
from lambdas.environment import Environment
from lambdas.settings import capacity_settings, launch_settings, register_settings

Resources = Mapping[str, Any]

OUTPUTS = set(
    "Deployment BucketName TableName UploadsQueueUrl UploadsDlqUrl JobsQueueUrl JobsDlqUrl OutboxQueueUrl OutboxDlqUrl "
    "RegisterFunction ReconcileFunction CapacityFunction DeliverFunction LaunchTemplateId AmiParameter SecretId "
    "SubnetIds AgentLogGroup AlarmTopicArn InstanceTypes Version".split()
)


def of_type(resources: Resources, kind: str) -> dict[str, Any]:
    return {name: each["Properties"] for name, each in resources.items() if each["Type"] == kind}


def only(resources: Resources, kind: str, name_part: str = "") -> Any:
    """The one resource of a type (whose logical id contains ``name_part``)."""
    (found,) = [each for name, each in of_type(resources, kind).items() if name_part in name]
    return found


def statements(role: Any) -> Iterator[Any]:
    for policy in role["Policies"]:
        yield from policy["PolicyDocument"]["Statement"]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def actions(role: Any) -> set[str]:
    return {action for statement in statements(role) for action in listed(statement["Action"])}


def resources_for(role: Any, action: str) -> str:
    """Everything an action is allowed on, as JSON text."""
    return json.dumps([each["Resource"] for each in statements(role) if action in listed(each["Action"])])


def launch_data(resources: Resources) -> Any:
    return only(resources, "AWS::EC2::LaunchTemplate")["LaunchTemplateData"]


def test_bucket_is_private_versioned_and_announces_objects(template: Template) -> None:
    template.has_resource_properties(
        "AWS::S3::Bucket",
        {
            "VersioningConfiguration": {"Status": "Enabled"},
            "NotificationConfiguration": {"EventBridgeConfiguration": {"EventBridgeEnabled": True}},
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": True,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
            "BucketEncryption": Match.any_value(),
        },
    )


def test_bucket_and_every_queue_refuse_plain_http(template: Template, resources: Resources) -> None:
    refusal = {"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    document = {"PolicyDocument": {"Statement": Match.array_with([Match.object_like(refusal)])}}

    template.has_resource_properties("AWS::S3::BucketPolicy", document)
    template.all_resources_properties("AWS::SQS::QueuePolicy", document)
    template.resource_count_is("AWS::SQS::QueuePolicy", len(of_type(resources, "AWS::SQS::Queue")))


def test_every_prefix_expires_with_its_old_versions_and_leftovers(resources: Resources) -> None:
    rules = only(resources, "AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"]

    days = {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "Prefix" in rule}
    assert days == {"uploads/": 30, "results/": 90, "work/": 3}
    assert all(rule["NoncurrentVersionExpiration"]["NoncurrentDays"] >= 1 for rule in rules if "Prefix" in rule)
    (leftovers,) = [rule for rule in rules if "Prefix" not in rule]
    assert leftovers["ExpiredObjectDeleteMarker"] is True
    assert leftovers["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] >= 1
    assert all(rule["Status"] == "Enabled" for rule in rules)


def test_table_forgets_by_ttl_restores_by_point_in_time_and_finds_by_status(template: Template) -> None:
    template.has_resource_properties(
        "AWS::DynamoDB::Table",
        {
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
            "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            "GlobalSecondaryIndexes": [
                {
                    "IndexName": "by_status",
                    "KeySchema": [
                        {"AttributeName": "status_key", "KeyType": "HASH"},
                        {"AttributeName": "status_at", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        },
    )


def test_data_outlives_the_stack_unless_told_otherwise(template: Template) -> None:
    for kind in ("AWS::S3::Bucket", "AWS::DynamoDB::Table"):
        template.has_resource(kind, {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"})


@pytest.mark.parametrize(("name", "max_receives"), [("Uploads", 5), ("Jobs", 50), ("Outbox", 5)])
def test_each_queue_is_encrypted_and_sets_aside_what_nobody_could_process(
    resources: Resources, name: str, max_receives: int
) -> None:
    queues = {key: each for key, each in of_type(resources, "AWS::SQS::Queue").items() if name in key}
    (dead_letters,) = [key for key in queues if "Dlq" in key]
    (queue,) = [each for key, each in queues.items() if "Dlq" not in key]

    assert queue["RedrivePolicy"]["maxReceiveCount"] == max_receives
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": [dead_letters, "Arn"]}
    assert all(each["SqsManagedSseEnabled"] for each in queues.values())
    assert queues[dead_letters]["MessageRetentionPeriod"] == 14 * 86400


def test_a_message_stays_hidden_six_times_as_long_as_its_function_may_run(resources: Resources) -> None:
    mappings = of_type(resources, "AWS::Lambda::EventSourceMapping").values()
    assert len(mappings) == 2
    for mapping in mappings:
        function = resources[mapping["FunctionName"]["Ref"]]["Properties"]
        queue = resources[mapping["EventSourceArn"]["Fn::GetAtt"][0]]["Properties"]
        assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_a_client_waits_for_a_registration_that_is_tried_again(resources: Resources) -> None:
    (uploads,) = [
        each for name, each in of_type(resources, "AWS::SQS::Queue").items() if "Uploads" in name and "Dlq" not in name
    ]

    assert uploads["VisibilityTimeout"] + 60 <= REGISTRATION_TIMEOUT_S


def test_together_the_queue_functions_leave_room_in_an_account_with_ten_executions(resources: Resources) -> None:
    mappings = of_type(resources, "AWS::Lambda::EventSourceMapping").values()

    assert sum(each["ScalingConfig"]["MaximumConcurrency"] for each in mappings) < 10
    assert not [
        each for each in of_type(resources, "AWS::Lambda::Function").values() if "ReservedConcurrentExecutions" in each
    ]


def test_only_objects_under_uploads_become_events(template: Template) -> None:
    template.has_resource_properties(
        "AWS::Events::Rule",
        {
            "EventPattern": {
                "source": ["aws.s3"],
                "detail-type": ["Object Created"],
                "detail": {"bucket": {"name": [Match.any_value()]}, "object": {"key": [{"prefix": "uploads/"}]}},
            }
        },
    )


def test_capacity_is_woken_by_the_clock_and_by_spot_notices(template: Template) -> None:
    template.has_resource_properties("AWS::Events::Rule", {"ScheduleExpression": "rate(1 minute)"})
    notices = ["EC2 Spot Instance Interruption Warning", "EC2 Instance Rebalance Recommendation"]
    template.has_resource_properties(
        "AWS::Events::Rule", {"EventPattern": {"source": ["aws.ec2"], "detail-type": notices}}
    )


def rule_that_wakes(resources: Resources, part: str, **pattern: Any) -> Any:
    """The one rule with these properties whose only target is the function, which it may call."""
    (name,) = [name for name in of_type(resources, "AWS::Lambda::Function") if part in name]
    arn = {"Fn::GetAtt": [name, "Arn"]}
    ((rule_name, rule),) = [
        (key, each)
        for key, each in of_type(resources, "AWS::Events::Rule").items()
        if pattern.items() <= each.items() and [target["Arn"] for target in each["Targets"]] == [arn]
    ]
    callers = [
        each["SourceArn"]
        for each in of_type(resources, "AWS::Lambda::Permission").values()
        if each["FunctionName"] == arn and each["Principal"] == "events.amazonaws.com"
    ]
    assert {"Fn::GetAtt": [rule_name, "Arn"]} in callers
    return rule


def test_a_spot_notice_reaches_capacity_as_ec2_wrote_it(resources: Resources) -> None:
    notices = ["EC2 Spot Instance Interruption Warning", "EC2 Instance Rebalance Recommendation"]
    rule = rule_that_wakes(resources, "Capacity", EventPattern={"source": ["aws.ec2"], "detail-type": notices})

    assert not {"Input", "InputPath", "InputTransformer"} & set(rule["Targets"][0])


def test_reconcile_looks_every_ten_minutes_and_is_not_repeated(template: Template, resources: Resources) -> None:
    rule = rule_that_wakes(resources, "Reconcile", ScheduleExpression="rate(10 minutes)")

    assert rule["Targets"][0]["RetryPolicy"]["MaximumRetryAttempts"] == 0
    assert only(resources, "AWS::Lambda::Function", "Reconcile")["Timeout"] < 600
    (function,) = [name for name in of_type(resources, "AWS::Lambda::Function") if "Reconcile" in name]
    template.has_resource_properties(
        "AWS::Lambda::EventInvokeConfig", {"FunctionName": {"Ref": function}, "MaximumRetryAttempts": 0}
    )


@pytest.mark.parametrize("part", ["register", "reconcile", "capacity", "deliver"])
def test_each_function_logs_to_its_own_group_and_may_write_to_no_other(resources: Resources, part: str) -> None:
    function = only(resources, "AWS::Lambda::Function", part.capitalize())
    group = function["LoggingConfig"]["LogGroup"]["Ref"]
    role = resources[function["Role"]["Fn::GetAtt"][0]]["Properties"]

    assert function["Handler"] == f"lambdas.{part}.handler"
    assert resources[group]["Properties"]["LogGroupName"] == f"/avskrift/avskrift/{part}"
    assert resources[group]["Properties"]["RetentionInDays"] == 30
    assert json.loads(resources_for(role, "logs:PutLogEvents")) == [{"Fn::GetAtt": [group, "Arn"]}]
    assert "ManagedPolicyArns" not in role


def test_functions_find_all_their_settings_in_their_environment(resources: Resources) -> None:
    def environment(part: str) -> Environment:
        variables = only(resources, "AWS::Lambda::Function", part)["Environment"]["Variables"]
        return Environment(
            {name: value if isinstance(value, str) else "reference" for name, value in variables.items()}
        )

    assert register_settings(environment("Register")).max_size_bytes == 20 * 1024**3
    assert register_settings(environment("Reconcile")) == register_settings(environment("Register"))
    assert capacity_settings(environment("Capacity")).limits.max_instances == 5
    assert capacity_settings(environment("Capacity")).limits.idle_limit_s == 1200
    assert launch_settings(environment("Capacity")).instance_types == ("g4dn.xlarge", "g6.xlarge", "g5.xlarge")
    assert environment("Capacity").names("SUBNET_ZONES") == ("eu-north-1a", "eu-north-1b", "eu-north-1c")
    assert environment("Deliver").text("SECRET_ID")
    assert environment("Register").text("CAPACITY_FUNCTION")
    assert environment("Reconcile").text("CAPACITY_FUNCTION")
    assert environment("Reconcile").text("BUCKET")
    assert not environment("Deliver").insecure_callbacks


def test_deliver_may_send_to_the_queue_that_wakes_it(resources: Resources) -> None:
    assert only(resources, "AWS::Lambda::Function", "Deliver")["RecursiveLoop"] == "Allow"
    assert "RecursiveLoop" not in only(resources, "AWS::Lambda::Function", "Capacity")


@pytest.mark.parametrize("part", ["Register", "Reconcile"])
def test_whoever_registers_waits_for_no_instance(resources: Resources, part: str) -> None:
    role = only(resources, "AWS::IAM::Role", f"{part}Role")

    assert "lambda:InvokeFunction" in actions(role)
    assert not {action for action in actions(role) if action.startswith(("ec2:", "iam:", "ssm:"))}


def test_no_role_has_an_action_with_a_wildcard(resources: Resources) -> None:
    roles = of_type(resources, "AWS::IAM::Role")
    assert len(roles) == 5
    for role in roles.values():
        assert not [action for action in actions(role) if "*" in action]


def test_only_descriptions_of_instances_are_allowed_on_everything(resources: Resources) -> None:
    everywhere = [
        statement["Action"]
        for role in of_type(resources, "AWS::IAM::Role").values()
        for statement in statements(role)
        if "*" in listed(statement["Resource"])
    ]

    assert everywhere == ["ec2:DescribeInstances"]


def test_an_instance_can_do_nothing_to_ec2(resources: Resources) -> None:
    assert not {action for action in actions(only(resources, "AWS::IAM::Role", "AgentRole")) if "ec2" in action}


def test_an_instance_may_make_the_calls_its_agent_makes_and_no_other(resources: Resources) -> None:
    role = only(resources, "AWS::IAM::Role", "AgentRole")
    of_queue = {action for action in actions(role) if action.startswith("sqs:")}
    of_bucket = {action for action in actions(role) if action.startswith("s3:")}

    consuming = {f"sqs:{verb}" for verb in ("ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility")}
    assert of_queue == {*consuming, "sqs:SendMessage"}
    assert of_bucket == {
        f"s3:{verb}" for verb in ("GetObject", "GetObjectVersion", "PutObject", "DeleteObject", "ListBucket")
    }


def test_an_instance_writes_no_uploads_and_deletes_only_checkpoints_and_transcripts(resources: Resources) -> None:
    role = only(resources, "AWS::IAM::Role", "AgentRole")
    deletable = json.loads(resources_for(role, "s3:DeleteObject"))[0]

    assert "uploads/" in resources_for(role, "s3:GetObject")
    assert "uploads/" not in resources_for(role, "s3:PutObject")
    assert [each["Fn::Join"][1][-1] for each in deletable] == ["/work/*", "/results/*/transcript.*"]
    assert "s3:DeleteObjectVersion" not in actions(role)


@pytest.mark.parametrize("part", ["Agent", "Register", "Deliver"])
def test_what_meets_strangers_writes_jobs_and_webhooks_but_no_launch_or_lease(resources: Resources, part: str) -> None:
    role = only(resources, "AWS::IAM::Role", f"{part}Role")
    (items,) = [each for each in statements(role) if "dynamodb" in json.dumps(each["Action"])]

    assert items["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["job#*", "outbox#*"]}}
    assert set(items["Action"]) == {f"dynamodb:{verb}" for verb in ("GetItem", "PutItem", "UpdateItem")}


def test_reconcile_may_do_what_register_may_and_find_what_lacks_a_row(resources: Resources) -> None:
    register, reconcile = (only(resources, "AWS::IAM::Role", f"{part}Role") for part in ("Register", "Reconcile"))
    consuming = {f"sqs:{verb}" for verb in ("ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility")}

    assert actions(reconcile) - actions(register) == {"s3:ListBucketVersions", "dynamodb:BatchGetItem"}
    assert actions(register) - actions(reconcile) == {*consuming, "sqs:GetQueueAttributes"}
    for action in ("s3:GetObject", "sqs:SendMessage", "lambda:InvokeFunction"):
        assert resources_for(reconcile, action) == resources_for(register, action)


def test_reconcile_lists_only_uploads(resources: Resources) -> None:
    role = only(resources, "AWS::IAM::Role", "ReconcileRole")
    (listing,) = [each for each in statements(role) if each["Action"] == "s3:ListBucketVersions"]

    assert listing["Condition"] == {"StringEquals": {"s3:prefix": UPLOADS_PREFIX}}


def test_reconcile_writes_jobs_webhooks_and_its_own_cursor_only(resources: Resources) -> None:
    role = only(resources, "AWS::IAM::Role", "ReconcileRole")
    (items,) = [each for each in statements(role) if "dynamodb" in json.dumps(each["Action"])]

    keys = ["job#*", "outbox#*", CURSOR_PK]
    assert items["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": keys}}


def test_capacity_reads_and_writes_every_item(resources: Resources) -> None:
    role = only(resources, "AWS::IAM::Role", "CapacityRole")
    (items,) = [each for each in statements(role) if "dynamodb:PutItem" in listed(each["Action"])]

    assert "Condition" not in items


def test_capacity_ends_only_instances_that_carry_a_mark_of_ours(resources: Resources) -> None:
    role = only(resources, "AWS::IAM::Role", "CapacityRole")
    conditions = [
        each["Condition"]["StringEquals"] for each in statements(role) if each["Action"] == "ec2:TerminateInstances"
    ]

    assert {"aws:ResourceTag/avskrift:deployment": "avskrift"} in conditions
    assert "aws:ResourceTag/aws:ec2launchtemplate:id" in conditions[1]
    assert len(conditions) == 2


def test_capacity_launches_only_tagged_instances_in_our_own_network(resources: Resources) -> None:
    role = only(resources, "AWS::IAM::Role", "CapacityRole")
    launching = [each for each in statements(role) if each["Action"] == "ec2:RunInstances"]
    (instances,) = [each for each in launching if "Condition" in each]
    (parts,) = [each for each in launching if "Condition" not in each]

    assert instances["Condition"]["StringEquals"] == {"aws:RequestTag/avskrift:deployment": "avskrift"}
    assert "instance/*" in json.dumps(instances["Resource"])
    allowed = json.dumps(parts["Resource"])
    assert not [kind for kind in ("instance/*", "subnet/*", "security-group/*", "launch-template/*") if kind in allowed]


def test_capacity_tags_only_at_launch_and_hands_over_only_the_agents_role(resources: Resources) -> None:
    role = only(resources, "AWS::IAM::Role", "CapacityRole")
    by_action = {each["Action"]: each for each in statements(role) if isinstance(each["Action"], str)}

    tagging = by_action["ec2:CreateTags"]["Condition"]["StringEquals"]
    assert tagging["ec2:CreateAction"] == ["CreateFleet", "RunInstances"]
    assert tagging["aws:RequestTag/avskrift:deployment"] == "avskrift"
    assert by_action["iam:PassRole"]["Condition"]["StringEquals"] == {"iam:PassedToService": "ec2.amazonaws.com"}
    assert "AgentRole" in json.dumps(by_action["iam:PassRole"]["Resource"])


def test_an_instance_ends_by_powering_off(resources: Resources) -> None:
    assert launch_data(resources)["InstanceInitiatedShutdownBehavior"] == "terminate"
    (disk,) = launch_data(resources)["BlockDeviceMappings"]
    assert disk["Ebs"]["DeleteOnTermination"] is True
    assert disk["Ebs"]["Encrypted"] is True


def test_metadata_needs_a_token_and_ends_at_the_instance(resources: Resources) -> None:
    options = launch_data(resources)["MetadataOptions"]

    assert options["HttpTokens"] == "required"
    assert options["HttpPutResponseHopLimit"] == 1


def test_the_image_comes_from_a_parameter_the_stack_does_not_own_never_from_the_template(
    template: Template, resources: Resources
) -> None:
    assert "ImageId" not in launch_data(resources)
    template.resource_count_is("AWS::SSM::Parameter", 0)


def test_instance_and_volume_carry_the_deployments_tag(resources: Resources) -> None:
    tag = {"Key": "avskrift:deployment", "Value": "avskrift"}
    tagged = {each["ResourceType"]: each["Tags"] for each in launch_data(resources)["TagSpecifications"]}

    assert tag in tagged["instance"]
    assert tag in tagged["volume"]


def test_user_data_is_json_with_ids_and_settings_and_no_secret(resources: Resources) -> None:
    text = resolved(launch_data(resources)["UserData"]["Fn::Base64"])
    told = json.loads(text)

    assert told["deployment"] == "avskrift"
    assert told["insecure_callbacks"] is False
    assert told["secret_id"].startswith("ref:")
    assert "SecretString" not in text and "resolve:secretsmanager" not in text
    assert set(told) == {setting.name for setting in fields(AgentSettings)}


def resolved(value: Any) -> str:
    """The text of an ``Fn::Join`` with references shown as ``ref:<logical id>``."""
    if isinstance(value, str):
        return value
    separator, parts = value["Fn::Join"]
    return separator.join(part if isinstance(part, str) else f"ref:{next(iter(part.values()))}" for part in parts)


def test_nothing_reaches_an_instance_and_it_reaches_only_https(resources: Resources) -> None:
    group = only(resources, "AWS::EC2::SecurityGroup")

    assert not group.get("SecurityGroupIngress")
    (way_out,) = group["SecurityGroupEgress"]
    assert (way_out["IpProtocol"], way_out["FromPort"], way_out["ToPort"]) == ("tcp", 443, 443)
    assert not of_type(resources, "AWS::EC2::SecurityGroupIngress")


def test_every_zone_has_a_public_subnet_and_nothing_costs_while_idle(template: Template, resources: Resources) -> None:
    subnets = of_type(resources, "AWS::EC2::Subnet").values()

    assert {each["AvailabilityZone"] for each in subnets} == {"eu-north-1a", "eu-north-1b", "eu-north-1c"}
    assert len({each["CidrBlock"] for each in subnets}) == 3
    assert all(each["MapPublicIpOnLaunch"] for each in subnets)
    assert {each["VpcEndpointType"] for each in of_type(resources, "AWS::EC2::VPCEndpoint").values()} == {"Gateway"}
    template.resource_count_is("AWS::EC2::NatGateway", 0)


def test_outputs_are_those_that_others_read(template: Template) -> None:
    assert set(template.to_json()["Outputs"]) == OUTPUTS


def test_webhook_secret_is_generated_from_letters_and_digits(template: Template) -> None:
    template.has_resource_properties(
        "AWS::SecretsManager::Secret",
        {
            "GenerateSecretString": {
                "GenerateStringKey": "current",
                "SecretStringTemplate": "{}",
                "PasswordLength": 32,
                "ExcludePunctuation": True,
            }
        },
    )


def test_no_function_of_cdks_own_comes_along(template: Template) -> None:
    template.resource_count_is("AWS::Lambda::Function", 4)
    assert not template.find_resources("Custom::S3BucketNotifications")


def test_the_local_cloud_differs_only_in_removal_and_callbacks(template: Template, synthesize: Any) -> None:
    local = synthesize(local=True).to_json()["Resources"]
    real = template.to_json()["Resources"]

    assert set(local) == set(real)
    assert different_properties(real, local) == {
        "AWS::Lambda::Function.Environment",  # AVSKRIFT_INSECURE_CALLBACKS
        "AWS::EC2::LaunchTemplate.LaunchTemplateData",  # "insecure_callbacks" in the user data
        "AWS::DynamoDB::Table.DeletionProtectionEnabled",
    }
    assert {each["DeletionPolicy"] for each in local.values() if "DeletionPolicy" in each} == {"Delete"}


def different_properties(some: Resources, others: Resources) -> set[str]:
    pairs = [
        (each["Type"], each.get("Properties", {}), others[name].get("Properties", {})) for name, each in some.items()
    ]
    return {f"{kind}.{key}" for kind, one, other in pairs for key in {*one, *other} if one.get(key) != other.get(key)}
