"""The functions: register, reconcile, capacity and deliver, what wakes each, and what each may do."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from avskrift.jobs.layout import UPLOADS_PREFIX
from infra import permissions
from infra.acknowledged import acknowledge, acknowledge_wildcards
from infra.bundling import lambda_code
from infra.config import Config
from infra.encryption import READ_OBJECTS, READ_SECRET, SEND_MESSAGES, USE_ITEMS, Encryption
from infra.environment import check_environment
from infra.fleet import Fleet
from infra.launching import launch_statements, launch_wildcards
from infra.logs import log_group
from infra.network import Network
from infra.permissions import allow
from infra.queues import DELIVER_TIMEOUT_S, REGISTER_TIMEOUT_S, Queues
from infra.storage import Storage
from infra.webhooks import WebhookSecret

NEWEST_RUNTIME = lambda_.Runtime.PYTHON_3_14
CAPACITY_TIMEOUT_S = 60
RECONCILE_TIMEOUT_S = 120
#: Processor share grows with memory: at 512 MB a cold start is bound by the imports no longer.
MEMORY_MB = 512
#: Functions at work at one time, so that a burst of uploads leaves room for the others even where an account has ten;
#: without a limit, throttled messages would run out of receives.
REGISTER_CONCURRENCY = 5
DELIVER_CONCURRENCY = 3
REGISTER_BATCH = 10
#: A slow receiver holds up no webhook of its own batch; as many as DELIVER_CONCURRENCY of them still delay all others.
DELIVER_BATCH = 1


@dataclass(frozen=True)
class Surroundings:
    """The rest of the stack, as the functions see it."""

    config: Config
    encryption: Encryption
    storage: Storage
    queues: Queues
    secret: WebhookSecret
    network: Network
    fleet: Fleet


@dataclass(frozen=True)
class FunctionSpec:
    """What tells one function from another; ``part`` is its module in ``lambdas``."""

    part: str
    description: str
    timeout_s: int
    environment: Mapping[str, str]
    statements: Sequence[iam.PolicyStatement]
    wildcards: Mapping[str, str] = field(default_factory=dict)
    """ARN patterns in ``statements``, each with the reason why the API allows nothing narrower."""
    may_loop: bool = False


class Part(Construct):
    """One function with its log group and its role."""

    def __init__(
        self, scope: Construct, construct_id: str, *, surroundings: Surroundings, code: lambda_.Code, spec: FunctionSpec
    ) -> None:
        super().__init__(scope, construct_id)
        environment = {**spec.environment, "POWERTOOLS_SERVICE_NAME": spec.part}
        check_environment(spec.part, environment)
        group = log_group(self, surroundings.config, spec.part, surroundings.encryption.key)
        writes_log = allow(permissions.WRITE_LOG_ACTIONS, group.log_group_arn)
        role = iam.Role(
            self,
            "Role",
            description=f"The function {spec.part}.",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            inline_policies=permissions.policy([writes_log, *spec.statements]),
        )
        acknowledge_wildcards(role, spec.wildcards)
        self.function = lambda_.Function(
            self,
            "Function",
            description=spec.description,
            code=code,
            handler=f"lambdas.{spec.part}.handler",
            runtime=_runtime(),
            architecture=lambda_.Architecture.ARM_64,
            memory_size=MEMORY_MB,
            timeout=cdk.Duration.seconds(spec.timeout_s),
            environment=environment,
            role=role,
            log_group=group,
            recursive_loop=lambda_.RecursiveLoop.ALLOW if spec.may_loop else None,
        )
        if _runtime() != NEWEST_RUNTIME:
            acknowledge(self.function, "L1", "The asset's bytecode is for the Python that deploys.")


class Functions(Construct):
    """register, reconcile, capacity and deliver."""

    def __init__(self, scope: Construct, construct_id: str, *, surroundings: Surroundings) -> None:
        super().__init__(scope, construct_id)
        self._code = lambda_code()
        self._surroundings = surroundings
        queues = surroundings.queues
        self.capacity = self._part("Capacity", _capacity(surroundings))
        self.register = self._part("Register", _register(surroundings, self.capacity))
        self.reconcile = self._part("Reconcile", _reconcile(surroundings, self.capacity))
        self.deliver = self._part("Deliver", _deliver(surroundings))
        _consume(self.register, queues.uploads, REGISTER_BATCH, REGISTER_CONCURRENCY)
        _consume(self.deliver, queues.outbox, DELIVER_BATCH, DELIVER_CONCURRENCY)
        self._wake_capacity()
        self._wake_reconcile()

    def _part(self, construct_id: str, spec: FunctionSpec) -> lambda_.Function:
        return Part(self, construct_id, surroundings=self._surroundings, code=self._code, spec=spec).function

    def _wake_capacity(self) -> None:
        """By the clock and by spot notices. A failed run is not repeated: the next minute looks at everything again."""
        self.capacity.configure_async_invoke(retry_attempts=0, max_event_age=cdk.Duration.minutes(2))
        target = targets.LambdaFunction(self.capacity, retry_attempts=0)
        events.Rule(
            self,
            "EveryMinute",
            description="capacity compares work and instances.",
            schedule=events.Schedule.rate(cdk.Duration.minutes(1)),
            targets=[target],
        )
        events.Rule(
            self,
            "SpotNotice",
            description="EC2 is about to take a spot instance back, or advises to replace it.",
            event_pattern=events.EventPattern(
                source=["aws.ec2"],
                detail_type=["EC2 Spot Instance Interruption Warning", "EC2 Instance Rebalance Recommendation"],
            ),
            targets=[target],
        )

    def _wake_reconcile(self) -> None:
        """By the clock; the next run looks for what a failed one did not find."""
        self.reconcile.configure_async_invoke(retry_attempts=0, max_event_age=cdk.Duration.minutes(10))
        events.Rule(
            self,
            "EveryTenMinutes",
            description="reconcile looks for uploads that no event told of.",
            schedule=events.Schedule.rate(cdk.Duration.minutes(10)),
            targets=[targets.LambdaFunction(self.reconcile, retry_attempts=0)],
        )


def _consume(function: lambda_.Function, queue: sqs.Queue, batch_size: int, concurrency: int) -> None:
    function.add_event_source_mapping(
        "Queue",
        event_source_arn=queue.queue_arn,
        batch_size=batch_size,
        max_concurrency=concurrency,
        report_batch_item_failures=True,
    )


def _register(surroundings: Surroundings, capacity: lambda_.Function) -> FunctionSpec:
    storage, queues = surroundings.storage, surroundings.queues
    return FunctionSpec(
        part="register",
        description="Makes a job of each uploaded recording.",
        timeout_s=REGISTER_TIMEOUT_S,
        environment=_registering_environment(surroundings, capacity),
        statements=[
            *_registering_statements(surroundings, capacity),
            permissions.allow_job_items(storage.table.table_arn),
            allow(permissions.EVENT_SOURCE_ACTIONS, queues.uploads.queue_arn),
        ],
        wildcards=_registering_wildcards(storage),
    )


def _reconcile(surroundings: Surroundings, capacity: lambda_.Function) -> FunctionSpec:
    storage = surroundings.storage
    return FunctionSpec(
        part="reconcile",
        description="Makes a job of each upload whose event got lost.",
        timeout_s=RECONCILE_TIMEOUT_S,
        environment=_registering_environment(surroundings, capacity),
        statements=[
            *_registering_statements(surroundings, capacity),
            permissions.allow_reconciled_items(storage.table.table_arn),
            allow("s3:ListBucketVersions", storage.bucket.bucket_arn, {"StringEquals": {"s3:prefix": UPLOADS_PREFIX}}),
        ],
        wildcards=_registering_wildcards(storage),
    )


def _registering_environment(surroundings: Surroundings, capacity: lambda_.Function) -> dict[str, str]:
    """What whoever registers uploads must know, so that a job is the same whoever made it."""
    config = surroundings.config
    return {
        **_common_environment(surroundings),
        "AVSKRIFT_CAPACITY_FUNCTION": capacity.function_name,
        "AVSKRIFT_CALLBACK_URL": config.callback_url,
        "AVSKRIFT_ALLOWED_CALLBACK_HOSTS": ",".join(config.allowed_callback_hosts),
        "AVSKRIFT_MAX_SIZE_BYTES": str(config.max_size_bytes),
        "AVSKRIFT_UPLOADS_EXPIRE_DAYS": str(config.uploads_expire_days),
        "AVSKRIFT_DEFAULT_LANGUAGE": config.default_language,
    }


def _registering_statements(surroundings: Surroundings, capacity: lambda_.Function) -> list[iam.PolicyStatement]:
    storage, queues = surroundings.storage, surroundings.queues
    return [
        allow(permissions.READ_OBJECT_ACTIONS, storage.objects_arn(UPLOADS_PREFIX)),
        # Without it a deleted recording answers 403, as a fault of permissions does.
        allow("s3:ListBucket", storage.bucket.bucket_arn),
        allow("sqs:SendMessage", [queues.jobs.queue_arn, queues.outbox.queue_arn]),
        allow("lambda:InvokeFunction", capacity.function_arn),
        *surroundings.encryption.statements(READ_OBJECTS, USE_ITEMS, SEND_MESSAGES),
    ]


def _registering_wildcards(storage: Storage) -> dict[str, str]:
    return {storage.objects_arn(UPLOADS_PREFIX): "Clients name their recordings; it stays within the prefix."}


def _capacity(surroundings: Surroundings) -> FunctionSpec:
    config, storage, queues = surroundings.config, surroundings.storage, surroundings.queues
    return FunctionSpec(
        part="capacity",
        description="Launches and reaps instances, requeues lost jobs, ends what cannot be served.",
        timeout_s=CAPACITY_TIMEOUT_S,
        environment={
            **_common_environment(surroundings),
            "AVSKRIFT_LAUNCH_TEMPLATE_ID": surroundings.fleet.launch_template.ref,
            "AVSKRIFT_SUBNET_IDS": ",".join(surroundings.network.subnet_ids),
            "AVSKRIFT_SUBNET_ZONES": ",".join(config.availability_zones),
            "AVSKRIFT_INSTANCE_TYPES": ",".join(config.instance_types),
            "AVSKRIFT_MAX_INSTANCES": str(config.max_instances),
            "AVSKRIFT_TARGET_DRAIN_S": str(config.target_drain_s),
            "AVSKRIFT_AMI_PARAMETER": config.ami_parameter,
            "AVSKRIFT_LEASE_S": str(config.lease_s),
            "AVSKRIFT_NO_CAPACITY_AFTER_S": str(config.no_capacity_after_s),
            "AVSKRIFT_MAX_FAILURES": str(config.max_failures),
            "AVSKRIFT_MAX_USD_PER_DAY": str(config.max_usd_per_day),
            "AVSKRIFT_MAX_LIFE_S": str(config.max_life_s),
            "AVSKRIFT_IDLE_LIMIT_S": str(config.idle_limit_s),
        },
        statements=[
            allow(permissions.ITEM_ACTIONS, storage.table.table_arn),
            permissions.allow_giving_back_the_lease(storage.table.table_arn),
            allow("dynamodb:Query", storage.status_index_arn),
            allow("sqs:SendMessage", [queues.jobs.queue_arn, queues.outbox.queue_arn]),
            allow("sqs:GetQueueAttributes", queues.jobs.queue_arn),
            *launch_statements(config, surroundings.fleet, surroundings.network),
            *surroundings.encryption.statements(USE_ITEMS, SEND_MESSAGES),
        ],
        wildcards=launch_wildcards(surroundings.fleet),
    )


def _deliver(surroundings: Surroundings) -> FunctionSpec:
    storage, queues, secret = surroundings.storage, surroundings.queues, surroundings.secret
    return FunctionSpec(
        part="deliver",
        description="Sends webhooks again until they arrive or their schedule ends.",
        timeout_s=DELIVER_TIMEOUT_S,
        environment={**_common_environment(surroundings), "AVSKRIFT_SECRET_ID": secret.secret_arn},
        statements=[
            permissions.allow_job_items(storage.table.table_arn),
            allow(permissions.EVENT_SOURCE_ACTIONS, queues.outbox.queue_arn),
            allow("sqs:SendMessage", queues.outbox.queue_arn),
            allow("secretsmanager:GetSecretValue", secret.secret_arn),
            *surroundings.encryption.statements(USE_ITEMS, SEND_MESSAGES, READ_SECRET),
        ],
        # A webhook waits by being sent to the same queue again, 900 s at a time for up to a day. Lambda's detection of
        # recursive loops would stop that after 16 rounds.
        may_loop=True,
    )


def _common_environment(surroundings: Surroundings) -> dict[str, str]:
    config, storage, queues = surroundings.config, surroundings.storage, surroundings.queues
    environment = {
        "AVSKRIFT_DEPLOYMENT": config.name,
        "AVSKRIFT_TABLE": storage.table.table_name,
        "AVSKRIFT_BUCKET": storage.bucket.bucket_name,
        "AVSKRIFT_JOBS_QUEUE_URL": queues.jobs.queue_url,
        "AVSKRIFT_OUTBOX_QUEUE_URL": queues.outbox.queue_url,
        "AVSKRIFT_JOB_TTL_DAYS": str(config.job_ttl_days),
    }
    return {**environment, "AVSKRIFT_INSECURE_CALLBACKS": "1"} if config.local else environment


def _runtime() -> lambda_.Runtime:
    """The Python that deploys, so that the asset's bytecode is its own; the newest if AWS has no such runtime."""
    runtimes = {
        11: lambda_.Runtime.PYTHON_3_11,
        12: lambda_.Runtime.PYTHON_3_12,
        13: lambda_.Runtime.PYTHON_3_13,
    }
    return runtimes.get(sys.version_info.minor, NEWEST_RUNTIME)
