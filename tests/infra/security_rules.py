"""Each security sentence of the stack as a function from a template to what breaks it; nothing found means it holds.

``planted_faults.py`` breaks a template in every way that each of them must notice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Template = Mapping[str, Any]
Rule = Callable[[Template], list[str]]

#: The only actions that know no resources.
ACTIONS_ON_EVERYTHING = {"ec2:DescribeInstances", "ec2:DescribeSpotPriceHistory"}
#: What a secret looks like where none should be: keys of AWS, of Standard Webhooks, of TLS, and dynamic references.
SECRET = re.compile(r"whsec_|AKIA[0-9A-Z]{16}|PRIVATE KEY|resolve:(secretsmanager|ssm-secure)|password|token", re.I)
#: The query of an address is where receivers put their keys.
QUERY = re.compile(r"https?://[^\s\"]*[?#]")


def of_type(template: Template, kind: str) -> dict[str, Any]:
    """Properties of every resource of a type, by logical id."""
    return {name: each.get("Properties", {}) for name, each in template["Resources"].items() if each["Type"] == kind}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def role_statements(template: Template) -> Iterator[tuple[str, Any]]:
    """Statements of every policy that gives a role permissions, with where they stand."""
    for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"):
        for name, each in of_type(template, kind).items():
            yield from ((name, statement) for statement in listed(each["PolicyDocument"]["Statement"]))
    for name, role in of_type(template, "AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            yield from ((name, statement) for statement in listed(policy["PolicyDocument"]["Statement"]))


def _resource_policies(template: Template) -> Iterator[tuple[str, Any]]:
    """Statements of the policies of buckets, queues, topics, secrets and keys."""
    for name, each in template["Resources"].items():
        properties = each.get("Properties", {})
        document = properties.get("KeyPolicy") or properties.get("PolicyDocument") or properties.get("ResourcePolicy")
        if document and not each["Type"].startswith("AWS::IAM::"):
            yield from ((name, statement) for statement in listed(document["Statement"]))


def stored_data_is_encrypted(template: Template) -> list[str]:
    """Buckets by S3 or KMS, queues by SQS or KMS, volumes; tables, secrets and logs always are."""
    unencrypted_buckets = [
        name for name, each in of_type(template, "AWS::S3::Bucket").items() if not each.get("BucketEncryption")
    ]
    open_queues = [
        name
        for name, each in of_type(template, "AWS::SQS::Queue").items()
        if not (each.get("SqsManagedSseEnabled") is True or each.get("KmsMasterKeyId"))
    ]
    open_disks = [
        name
        for name, each in of_type(template, "AWS::EC2::LaunchTemplate").items()
        if not all(
            disk["Ebs"].get("Encrypted") is True for disk in each["LaunchTemplateData"].get("BlockDeviceMappings", [{}])
        )
    ]
    return [*unencrypted_buckets, *open_queues, *open_disks]


#: Where each kind of resource says under which key it is.
KEY_PROPERTIES: Mapping[str, Callable[[Any], Any]] = {
    "AWS::S3::Bucket": lambda each: text(each.get("BucketEncryption")),
    "AWS::DynamoDB::Table": lambda each: each.get("SSESpecification", {}).get("KMSMasterKeyId"),
    "AWS::SQS::Queue": lambda each: each.get("KmsMasterKeyId"),
    "AWS::SNS::Topic": lambda each: each.get("KmsMasterKeyId"),
    "AWS::SecretsManager::Secret": lambda each: each.get("KmsKeyId"),
    "AWS::Logs::LogGroup": lambda each: each.get("KmsKeyId"),
    "AWS::EC2::LaunchTemplate": lambda each: text(each["LaunchTemplateData"].get("BlockDeviceMappings")),
}


def a_customers_key_is_over_everything(template: Template) -> list[str]:
    """Where there is a key: it rotates, and whatever keeps data names it."""
    keys = of_type(template, "AWS::KMS::Key")
    still = [f"{name} does not rotate" for name, each in keys.items() if each.get("EnableKeyRotation") is not True]
    elsewhere = [
        f"{name} is not under {key}"
        for key in keys
        for kind, key_of in KEY_PROPERTIES.items()
        for name, each in of_type(template, kind).items()
        if f'"{key}"' not in text(key_of(each)).replace("\\", "")
    ]
    return [*still, *elsewhere]


def only_tls_is_spoken(template: Template) -> list[str]:
    """Every bucket, queue and topic has a policy that refuses plain HTTP to everybody, whatever they do."""
    refused = {
        text(target)
        for kind, key in (
            ("AWS::S3::BucketPolicy", "Bucket"),
            ("AWS::SQS::QueuePolicy", "Queues"),
            ("AWS::SNS::TopicPolicy", "Topics"),
        )
        for each in of_type(template, kind).values()
        if any(map(_refuses_plain_http, each["PolicyDocument"]["Statement"]))
        for target in listed(each[key])
    }
    return [
        name
        for kind in ("AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::SNS::Topic")
        for name in of_type(template, kind)
        if text({"Ref": name}) not in refused
    ]


def _refuses_plain_http(statement: Any) -> bool:
    everything = {"s3:*", "sqs:*", "sns:*", "sns:Publish"}
    return (
        statement["Effect"] == "Deny"
        and statement["Principal"] in ("*", {"AWS": "*"})
        and bool(everything & set(listed(statement["Action"])))
        and statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
    )


def nothing_is_public(template: Template) -> list[str]:
    """Buckets block public access in all four ways, and no policy allows everybody without a condition."""
    blocks = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    open_buckets = [
        name
        for name, each in of_type(template, "AWS::S3::Bucket").items()
        if not all(each.get("PublicAccessBlockConfiguration", {}).get(block) is True for block in blocks)
    ]
    for_everybody = [
        name
        for name, statement in _resource_policies(template)
        if statement["Effect"] == "Allow" and '"*"' in text(statement["Principal"]) and not statement.get("Condition")
    ]
    urls = [*of_type(template, "AWS::Lambda::Url")]
    return [*open_buckets, *for_everybody, *urls]


def services_come_only_for_what_is_ours(template: Template) -> list[str]:
    """AWS' services act for any account: each is bound to a source, an account or a context of ours."""
    unbound = [
        name
        for name, statement in _resource_policies(template)
        if statement["Effect"] == "Allow"
        and '"Service"' in text(statement["Principal"])
        and not statement.get("Condition")
    ]
    for_any_rule = [
        name
        for name, each in of_type(template, "AWS::Lambda::Permission").items()
        if not each.get("SourceArn") or not str(each["Principal"]).endswith(".amazonaws.com")
    ]
    return [*unbound, *for_any_rule]


def no_action_has_a_wildcard(template: Template) -> list[str]:
    """Roles are given single actions, by policies of their own, and never all but some."""
    broad = [
        f"{name}: {action}"
        for name, statement in role_statements(template)
        for action in listed(statement.get("Action", "NotAction"))
        if "*" in action or action == "NotAction"
    ]
    managed = [name for name, each in of_type(template, "AWS::IAM::Role").items() if each.get("ManagedPolicyArns")]
    return [*broad, *managed]


def only_descriptions_are_allowed_on_everything(template: Template) -> list[str]:
    """``Resource: *`` only with actions that know no resources; never all resources but some."""
    return [
        f"{name}: {statement.get('Action')}"
        for name, statement in role_statements(template)
        if statement["Effect"] == "Allow"
        and ("*" in listed(statement.get("Resource", "*")))
        and not ACTIONS_ON_EVERYTHING.issuperset(listed(statement.get("Action")))
    ]


def roles_are_taken_only_by_their_service(template: Template) -> list[str]:
    """Functions' by Lambda, the agent's by EC2; nobody else may take one."""
    wrong = []
    for name, role in of_type(template, "AWS::IAM::Role").items():
        service = "ec2" if "Agent" in name else "lambda"
        principals = [each["Principal"] for each in role["AssumeRolePolicyDocument"]["Statement"]]
        if principals != [{"Service": f"{service}.amazonaws.com"}]:
            wrong.append(name)
    return wrong


def agents_can_do_nothing_to_ec2(template: Template) -> list[str]:
    """Nor hand on roles or change what they may: an instance ends itself by powering off."""
    forbidden = ("ec2:", "ec2-", "iam:", "sts:", "autoscaling:", "ssm:", "lambda:", "*")
    return [
        action
        for name, statement in role_statements(template)
        if "Agent" in name
        for action in listed(statement.get("Action", "*"))
        if action.startswith(forbidden)
    ]


def metadata_needs_a_token_and_ends_at_the_instance(template: Template) -> list[str]:
    """IMDSv2, one hop."""
    return [
        name
        for name, each in of_type(template, "AWS::EC2::LaunchTemplate").items()
        if not {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}.items()
        <= each["LaunchTemplateData"].get("MetadataOptions", {}).items()
    ]


def nothing_comes_in_and_only_https_goes_out(template: Template) -> list[str]:
    """Security groups without any way in, rules of their own included."""
    inbound = [*of_type(template, "AWS::EC2::SecurityGroupIngress")]
    outbound = [*of_type(template, "AWS::EC2::SecurityGroupEgress")]
    for name, each in of_type(template, "AWS::EC2::SecurityGroup").items():
        if each.get("SecurityGroupIngress"):
            inbound.append(name)
        ways = [(way["IpProtocol"], way.get("FromPort"), way.get("ToPort")) for way in each["SecurityGroupEgress"]]
        if ways != [("tcp", 443, 443)]:
            outbound.append(name)
    return [*inbound, *outbound]


def s3_and_dynamodb_are_reached_inside_aws(template: Template) -> list[str]:
    """Gateway endpoints on the instances' routes; nothing that costs while idle, no function in the network."""
    routed = {
        service
        for each in of_type(template, "AWS::EC2::VPCEndpoint").values()
        for service in ("s3", "dynamodb")
        if each["VpcEndpointType"] == "Gateway"
        and each["ServiceName"].endswith(f".{service}")
        and each.get("RouteTableIds")
    }
    missing = sorted({"s3", "dynamodb"} - routed)
    costly = [
        name
        for name, each in of_type(template, "AWS::EC2::VPCEndpoint").items()
        if each["VpcEndpointType"] != "Gateway"
    ]
    inside = [name for name, each in of_type(template, "AWS::Lambda::Function").items() if each.get("VpcConfig")]
    return [*missing, *costly, *of_type(template, "AWS::EC2::NatGateway"), *inside]


def no_secret_is_in_user_data_or_environment(template: Template) -> list[str]:
    """Nor written down anywhere else in the template; what is generated stays in Secrets Manager."""
    told = {
        name: each["LaunchTemplateData"].get("UserData")
        for name, each in of_type(template, "AWS::EC2::LaunchTemplate").items()
    } | {name: each.get("Environment") for name, each in of_type(template, "AWS::Lambda::Function").items()}
    secrets = of_type(template, "AWS::SecretsManager::Secret")
    written = [name for name, each in secrets.items() if "SecretString" in each]
    outputs = {f"output {name}": each["Value"] for name, each in template.get("Outputs", {}).items()}
    return [*(name for name, said in {**told, **outputs}.items() if _tells(text(said))), *written]


def _tells(said: str) -> bool:
    return bool(SECRET.search(said) or QUERY.search(said))


RULES: tuple[Rule, ...] = (
    stored_data_is_encrypted,
    a_customers_key_is_over_everything,
    only_tls_is_spoken,
    nothing_is_public,
    services_come_only_for_what_is_ours,
    no_action_has_a_wildcard,
    only_descriptions_are_allowed_on_everything,
    roles_are_taken_only_by_their_service,
    agents_can_do_nothing_to_ec2,
    metadata_needs_a_token_and_ends_at_the_instance,
    nothing_comes_in_and_only_https_goes_out,
    s3_and_dynamodb_are_reached_inside_aws,
    no_secret_is_in_user_data_or_environment,
)
