"""What each deployed role may do and what it may not: one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from avskrift.local.iam.checks import Call

FOREIGN = "somebody-else"
FOREIGN_BUCKET = "somebody-elses-bucket"
TAGS = [{"Key": "avskrift:deployment", "Value": "avskrift"}]


@dataclass(frozen=True)
class Row:
    role: str
    does: str
    allowed: bool
    call: Callable[[Any], Call]
    """From the names of a deployment."""
    emulator_errs: str = ""
    """Why the emulator decides otherwise than AWS."""

    def __str__(self) -> str:
        return f"{self.role} {'may' if self.allowed else 'may not'} {self.does}"


def may(role: str, does: str, call: Callable[[Any], Call]) -> Row:
    return Row(role, does, True, call)


def never(role: str, does: str, call: Callable[[Any], Call]) -> Row:
    return Row(role, does, False, call)


def never_by_key(role: str, does: str, call: Callable[[Any], Call]) -> Row:
    """Refused by nothing but the key of an item."""
    return Row(role, does, False, call, "its requests carry no dynamodb:LeadingKeys")


def may_log(role: str, does: str, call: Callable[[Any], Call]) -> Row:
    return Row(role, does, True, call, "it asks about a stream by its group's ARN, without the :* that AWS has there")


def s3(operation: str, key: str = "", **parameters: Any) -> Callable[[Any], Call]:
    named = {"Key": key} if key else {}
    return lambda names: Call("s3", operation, {"Bucket": names.bucket, **named, **parameters})


def elsewhere(operation: str, **parameters: Any) -> Callable[[Any], Call]:
    return lambda names: Call("s3", operation, {"Bucket": FOREIGN_BUCKET, **parameters})


def item(pk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}}


def get(pk: str) -> Callable[[Any], Call]:
    return lambda names: Call("dynamodb", "GetItem", {"TableName": names.table, "Key": item(pk)})


def put(pk: str) -> Callable[[Any], Call]:
    return lambda names: Call("dynamodb", "PutItem", {"TableName": names.table, "Item": item(pk)})


def update(pk: str) -> Callable[[Any], Call]:
    changes = {"UpdateExpression": "SET note = :n", "ExpressionAttributeValues": {":n": {"S": "x"}}}
    return lambda names: Call("dynamodb", "UpdateItem", {"TableName": names.table, "Key": item(pk), **changes})


def delete(pk: str) -> Callable[[Any], Call]:
    return lambda names: Call("dynamodb", "DeleteItem", {"TableName": names.table, "Key": item(pk)})


def together(*pks: str) -> Callable[[Any], Call]:
    def call(names: Any) -> Call:
        puts = [{"Put": {"TableName": names.table, "Item": item(pk)}} for pk in pks]
        return Call("dynamodb", "TransactWriteItems", {"TransactItems": puts})

    return call


def many(*pks: str) -> Callable[[Any], Call]:
    return lambda names: Call(
        "dynamodb", "BatchGetItem", {"RequestItems": {names.table: {"Keys": [item(pk) for pk in pks]}}}
    )


def by_status() -> Callable[[Any], Call]:
    asked = {"KeyConditionExpression": "status_key = :s", "ExpressionAttributeValues": {":s": {"S": "job#queued"}}}
    return lambda names: Call("dynamodb", "Query", {"TableName": names.table, "IndexName": names.index, **asked})


def scan() -> Callable[[Any], Call]:
    return lambda names: Call("dynamodb", "Scan", {"TableName": names.table})


def foreign_table() -> Callable[[Any], Call]:
    return lambda names: Call("dynamodb", "GetItem", {"TableName": FOREIGN, "Key": item("job#a")})


def send(queue: str) -> Callable[[Any], Call]:
    return lambda names: Call("sqs", "SendMessage", {"QueueUrl": getattr(names, queue), "MessageBody": "{}"})


def receive(queue: str) -> Callable[[Any], Call]:
    return lambda names: Call("sqs", "ReceiveMessage", {"QueueUrl": getattr(names, queue), "WaitTimeSeconds": 0})


def queue(operation: str, name: str, **parameters: Any) -> Callable[[Any], Call]:
    return lambda names: Call("sqs", operation, {"QueueUrl": getattr(names, name), **parameters})


def secret(operation: str = "GetSecretValue", **parameters: Any) -> Callable[[Any], Call]:
    return lambda names: Call("secretsmanager", operation, {"SecretId": names.secret, **parameters})


def foreign_secret() -> Callable[[Any], Call]:
    return lambda names: Call("secretsmanager", "GetSecretValue", {"SecretId": FOREIGN})


def invoke(function: str) -> Callable[[Any], Call]:
    event = {"InvocationType": "Event", "Payload": b"{}"}
    return lambda names: Call("lambda", "Invoke", {"FunctionName": getattr(names, function), **event})


def log(operation: str, group: str = "") -> Callable[[Any], Call]:
    def call(names: Any) -> Call:
        named = {"logGroupName": group or names.agent_logs, "logStreamName": "i-0123"}
        lines = {"logEvents": [{"timestamp": 1_795_000_000_000, "message": "x"}]} if operation == "PutLogEvents" else {}
        return Call("logs", operation, {**named, **lines})

    return call


def parameter(name: str = "") -> Callable[[Any], Call]:
    return lambda names: Call("ssm", "GetParameter", {"Name": name or names.ami_parameter})


def assume(part: str) -> Callable[[Any], Call]:
    return lambda names: Call("sts", "AssumeRole", {"RoleArn": names.roles[part], "RoleSessionName": "somebody"})


def ec2(operation: str, **parameters: Any) -> Callable[[Any], Call]:
    return lambda names: Call("ec2", operation, parameters)


def fleet(tags: list[dict[str, str]], **override: str) -> Callable[[Any], Call]:
    """One spot instance from the deployment's template."""

    def call(names: Any) -> Call:
        place = {"InstanceType": "g6.xlarge", "ImageId": "ami-0123456789abcdef0", "SubnetId": names.subnet, **override}
        template = {"LaunchTemplateId": names.template, "Version": "$Latest"}
        specifications = [{"ResourceType": kind, "Tags": tags} for kind in ("instance", "fleet")]
        wanted = {
            "Type": "instant",
            "LaunchTemplateConfigs": [{"LaunchTemplateSpecification": template, "Overrides": [place]}],
            "TargetCapacitySpecification": {"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "spot"},
            "TagSpecifications": specifications,
        }
        return Call("ec2", "CreateFleet", wanted)

    return call


def run(tags: list[dict[str, str]], **override: Any) -> Callable[[Any], Call]:
    """One instance without the template, in the deployment's network and with its role."""

    def call(names: Any) -> Call:
        wanted = {
            **{"ImageId": "ami-0123456789abcdef0", "InstanceType": "g6.xlarge", "MinCount": 1, "MaxCount": 1},
            "SubnetId": names.subnet,
            "SecurityGroupIds": [names.group],
            "IamInstanceProfile": {"Arn": names.profile},
            "TagSpecifications": [{"ResourceType": "instance", "Tags": tags}],
        }
        return Call("ec2", "RunInstances", {**wanted, **override})

    return call


AGENT = [
    may("agent", "read a recording", s3("GetObject", "uploads/a.ogg")),
    may("agent", "see a recording's size", s3("HeadObject", "uploads/a.ogg")),
    # S3 tells only those who may list keys that an object is gone (docs/security.md); contents are another matter.
    may("agent", "list the keys of the bucket", s3("ListObjectsV2")),
    may("agent", "write a transcript", s3("PutObject", "results/j/transcript.txt", Body=b"x")),
    may("agent", "write a long transcript in parts", s3("CreateMultipartUpload", "results/j/transcript.json")),
    may("agent", "write a checkpoint", s3("PutObject", "work/j/checkpoint.jsonl", Body=b"x")),
    may("agent", "read a checkpoint", s3("GetObject", "work/j/checkpoint.jsonl")),
    may("agent", "remove a checkpoint", s3("DeleteObject", "work/j/checkpoint.jsonl")),
    may("agent", "take back a cancelled job's transcript", s3("DeleteObject", "results/j/transcript.txt")),
    may("agent", "read a job", get("job#a")),
    may("agent", "write a job and its outbox entry", together("job#a", "outbox#a")),
    may("agent", "read what its instance costs", get("instance#i-0123")),
    may("agent", "take a job's message", receive("jobs")),
    may("agent", "hand a webhook over", send("outbox")),
    may("agent", "read the signing secret", secret()),
    may_log("agent", "open its log stream", log("CreateLogStream")),
    may_log("agent", "write its log", log("PutLogEvents")),
    never("agent", "write a recording", s3("PutObject", "uploads/a.ogg", Body=b"x")),
    never("agent", "remove a recording", s3("DeleteObject", "uploads/a.ogg")),
    never("agent", "remove the record of a job", s3("DeleteObject", "results/j/job.json")),
    never("agent", "destroy a version", s3("DeleteObject", "results/j/transcript.txt", VersionId="null")),
    never("agent", "read another prefix", s3("GetObject", "private/a.ogg")),
    never("agent", "write another prefix", s3("PutObject", "private/a.ogg", Body=b"x")),
    never("agent", "list old versions", s3("ListObjectVersions", Prefix="uploads/")),
    never("agent", "change the bucket's policy", s3("DeleteBucketPolicy")),
    never("agent", "read another bucket", elsewhere("GetObject", Key="uploads/a.ogg")),
    never("agent", "list another bucket", elsewhere("ListObjectsV2")),
    never("agent", "remove a job's row", delete("job#a")),
    never("agent", "list jobs", by_status()),
    never("agent", "read the whole table", scan()),
    never("agent", "read another table", foreign_table()),
    never_by_key("agent", "take capacity's lease", put("lease#capacity")),
    never_by_key("agent", "read the fleet's memory", get("fleet#memory")),
    never_by_key("agent", "write a launch record", together("job#a", "launch#a")),
    never_by_key("agent", "say what its instance costs", put("instance#i-0123")),
    never("agent", "take upload events", receive("uploads")),
    never("agent", "take webhooks", receive("outbox")),
    never("agent", "make jobs", send("jobs")),
    never("agent", "empty a queue", queue("PurgeQueue", "jobs")),
    never("agent", "use another queue", send("other_queue")),
    never("agent", "read another secret", foreign_secret()),
    never("agent", "change the secret", secret("PutSecretValue", SecretString="x")),
    never("agent", "write another log", log("PutLogEvents", "/avskrift/avskrift/capacity")),
    never("agent", "make log groups", lambda names: Call("logs", "CreateLogGroup", {"logGroupName": "/x"})),
    never("agent", "wake a function", invoke("capacity")),
    never("agent", "launch a fleet", fleet(TAGS)),
    never("agent", "launch an instance", run(TAGS)),
    never("agent", "terminate an instance", ec2("TerminateInstances", InstanceIds=["i-0123456789abcdef0"])),
    never("agent", "look at instances", ec2("DescribeInstances")),
    never("agent", "read parameters", parameter()),
    never("agent", "become capacity", assume("capacity")),
    never("agent", "change a role", lambda names: Call("iam", "DeleteRole", {"RoleName": "x"})),
]

REGISTER = [
    may("register", "see a recording", s3("HeadObject", "uploads/a.ogg")),
    may("register", "list the keys of the bucket", s3("ListObjectsV2")),
    may("register", "make a job with its outbox entry", together("job#a", "outbox#a")),
    may("register", "put a job in the queue", send("jobs")),
    may("register", "hand a webhook over", send("outbox")),
    may("register", "wake capacity", invoke("capacity")),
    may("register", "take upload events", receive("uploads")),
    never("register", "read results", s3("GetObject", "results/j/transcript.txt")),
    never("register", "read checkpoints", s3("GetObject", "work/j/checkpoint.jsonl")),
    *(
        never("register", f"write to {prefix}", s3("PutObject", f"{prefix}/a", Body=b"x"))
        for prefix in ("uploads", "results", "work")
    ),
    never("register", "remove a recording", s3("DeleteObject", "uploads/a.ogg")),
    never("register", "read another bucket", elsewhere("GetObject", Key="uploads/a.ogg")),
    never("register", "list jobs", by_status()),
    never("register", "remove a job", delete("job#a")),
    never_by_key("register", "take capacity's lease", update("lease#capacity")),
    never_by_key("register", "say what an instance costs", put("instance#i-0123")),
    never("register", "take a job's message", receive("jobs")),
    never("register", "read the signing secret", secret()),
    never("register", "wake deliver", invoke("deliver")),
    never("register", "launch", fleet(TAGS)),
    never("register", "terminate", ec2("TerminateInstances", InstanceIds=["i-0123456789abcdef0"])),
]

RECONCILE = [
    may("reconcile", "list what was uploaded", s3("ListObjectVersions", Prefix="uploads/")),
    may("reconcile", "list the keys of the bucket", s3("ListObjectsV2")),
    may("reconcile", "see a recording", s3("HeadObject", "uploads/a.ogg")),
    may("reconcile", "look for many jobs at once", many("job#a", "job#b")),
    may("reconcile", "keep its place", put("fleet#reconcile")),
    may("reconcile", "put a job in the queue", send("jobs")),
    may("reconcile", "wake capacity", invoke("capacity")),
    never("reconcile", "list versions of results", s3("ListObjectVersions", Prefix="results/")),
    never("reconcile", "list versions of everything", s3("ListObjectVersions")),
    never("reconcile", "read results", s3("GetObject", "results/j/transcript.txt")),
    never("reconcile", "write to the bucket", s3("PutObject", "uploads/a", Body=b"x")),
    never("reconcile", "remove a recording", s3("DeleteObject", "uploads/a.ogg")),
    never_by_key("reconcile", "touch the fleet's memory", put("fleet#memory")),
    never("reconcile", "remove a job", delete("job#a")),
    never("reconcile", "read the signing secret", secret()),
    never("reconcile", "take upload events", receive("uploads")),
    never("reconcile", "terminate", ec2("TerminateInstances", InstanceIds=["i-0123456789abcdef0"])),
]

CAPACITY = [
    may("capacity", "hold its lease", put("lease#capacity")),
    may("capacity", "give its lease back", delete("lease#capacity")),
    never_by_key("capacity", "remove a job", delete("job#a")),
    never_by_key("capacity", "remove the record of a launch", delete("launch#a")),
    may("capacity", "list jobs", by_status()),
    may("capacity", "change a job", update("job#a")),
    may("capacity", "put a job back in the queue", send("jobs")),
    may("capacity", "hand a webhook over", send("outbox")),
    may("capacity", "look at its queue", queue("GetQueueAttributes", "jobs", AttributeNames=["All"])),
    may("capacity", "read which image to launch", parameter()),
    may("capacity", "look at instances", ec2("DescribeInstances")),
    may("capacity", "launch a fleet that carries our tag", fleet(TAGS)),
    never("capacity", "launch a fleet without our tag", fleet([{"Key": "x", "Value": "y"}])),
    never("capacity", "launch under another deployment's tag", fleet([{**TAGS[0], "Value": "press"}])),
    never("capacity", "launch in a foreign subnet", fleet(TAGS, SubnetId="subnet-0123456789abcdef0")),
    never("capacity", "launch a fleet of another instance type", fleet(TAGS, InstanceType="p5.48xlarge")),
    # Nothing but the code of capacity keeps it to the template, its image and its user data: docs/security.md.
    may("capacity", "launch past the template what carries our tag", run(TAGS)),
    never("capacity", "launch past the template without our tag", run([{"Key": "x", "Value": "y"}])),
    never("capacity", "launch past the template another instance type", run(TAGS, InstanceType="p5.48xlarge")),
    never("capacity", "launch past the template in a foreign subnet", run(TAGS, SubnetId="subnet-0123456789abcdef0")),
    never(
        "capacity",
        "launch past the template with a foreign security group",
        run(TAGS, SecurityGroupIds=["sg-0123456789abcdef0"]),
    ),
    never("capacity", "tag what exists", ec2("CreateTags", Resources=["i-0123456789abcdef0"], Tags=TAGS)),
    never(
        "capacity", "end an instance without our tag", ec2("TerminateInstances", InstanceIds=["i-0fedcba9876543210"])
    ),
    never("capacity", "stop instances", ec2("StopInstances", InstanceIds=["i-0123456789abcdef0"])),
    never("capacity", "read recordings", s3("GetObject", "uploads/a.ogg")),
    never("capacity", "see recordings", s3("HeadObject", "uploads/a.ogg")),
    never("capacity", "read transcripts", s3("GetObject", "results/j/transcript.txt")),
    never("capacity", "list the bucket", s3("ListObjectsV2")),
    never("capacity", "write to the bucket", s3("PutObject", "results/j/transcript.txt", Body=b"x")),
    never("capacity", "read the signing secret", secret()),
    never("capacity", "read another parameter", parameter("/avskrift/press/ami")),
    never("capacity", "read the whole table", scan()),
    never("capacity", "touch another table", foreign_table()),
    never("capacity", "take a job's message", receive("jobs")),
    never("capacity", "wake deliver", invoke("deliver")),
    never("capacity", "become the agent", assume("agent")),
]

DELIVER = [
    may("deliver", "read an outbox entry", get("outbox#a")),
    may("deliver", "note an attempt", update("outbox#a")),
    may("deliver", "note the delivery on the job", update("job#a")),
    may("deliver", "take webhooks", receive("outbox")),
    may("deliver", "put a webhook off", send("outbox")),
    may("deliver", "read the signing secret", secret()),
    never("deliver", "read recordings", s3("GetObject", "uploads/a.ogg")),
    never("deliver", "read transcripts", s3("GetObject", "results/j/transcript.txt")),
    never("deliver", "list the bucket", s3("ListObjectsV2")),
    never("deliver", "write to the bucket", s3("PutObject", "results/j/transcript.txt", Body=b"x")),
    never("deliver", "put jobs in the queue", send("jobs")),
    never("deliver", "take a job's message", receive("jobs")),
    never("deliver", "list jobs", by_status()),
    never("deliver", "remove a job", delete("job#a")),
    never_by_key("deliver", "take capacity's lease", put("lease#capacity")),
    never("deliver", "read another secret", foreign_secret()),
    never("deliver", "change the secret", secret("PutSecretValue", SecretString="x")),
    never("deliver", "read parameters", parameter()),
    never("deliver", "wake capacity", invoke("capacity")),
    never("deliver", "terminate", ec2("TerminateInstances", InstanceIds=["i-0123456789abcdef0"])),
]

ROWS = [*AGENT, *REGISTER, *RECONCILE, *CAPACITY, *DELIVER]
assert len({str(row) for row in ROWS}) == len(ROWS), "each row says something of its own"
