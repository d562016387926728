"""What an instance is: launch template, role, and the few ids it is told at boot.

The role has no EC2 permission at all: an instance ends itself by powering off, which terminates it.
"""

from __future__ import annotations

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from avskrift.jobs.fleet import DEPLOYMENT_TAG, ROOT_DEVICE
from avskrift.jobs.layout import RESULTS_PREFIX, UPLOADS_PREFIX, WORK_PREFIX
from infra import permissions
from infra.acknowledged import acknowledge_wildcards
from infra.config import Config
from infra.encryption import MAKE_VOLUMES, READ_SECRET, SEND_MESSAGES, USE_ITEMS, WRITE_OBJECTS, Encryption
from infra.logs import log_group
from infra.network import Network
from infra.permissions import allow
from infra.queues import Queues
from infra.storage import Storage
from infra.webhooks import WebhookSecret


@dataclass(frozen=True)
class AgentResources:
    """What the agent on an instance works with."""

    storage: Storage
    queues: Queues
    secret: WebhookSecret
    encryption: Encryption


class Fleet(Construct):
    """The agent's role and the launch template that capacity launches instances from."""

    def __init__(
        self, scope: Construct, construct_id: str, *, config: Config, resources: AgentResources, network: Network
    ) -> None:
        super().__init__(scope, construct_id)
        self._config = config
        self._encryption = resources.encryption
        self.log_group = log_group(self, config, "agent", self._encryption.key)
        self.agent_role = self._agent_role(resources, self.log_group)
        profile = iam.CfnInstanceProfile(self, "AgentProfile", roles=[self.agent_role.role_name])
        self.launch_template = self._launch_template(profile, network, self._user_data(resources))

    @property
    def launch_template_arn(self) -> str:
        stack = cdk.Stack.of(self)
        return stack.format_arn(service="ec2", resource="launch-template", resource_name=self.launch_template.ref)

    @property
    def volume_key_statements(self) -> list[iam.PolicyStatement]:
        """What whoever launches needs so that EC2 can encrypt the volumes."""
        return self._encryption.statements(*MAKE_VOLUMES)

    def _agent_role(self, resources: AgentResources, group: logs.ILogGroup) -> iam.Role:
        storage, queues = resources.storage, resources.queues
        uploads, results, work = (
            storage.objects_arn(prefix) for prefix in (UPLOADS_PREFIX, RESULTS_PREFIX, WORK_PREFIX)
        )
        deletable = storage.objects_arn(f"{RESULTS_PREFIX}*/transcript.")
        role = iam.Role(
            self,
            "AgentRole",
            description="The agent on an instance.",
            assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"),
            inline_policies=permissions.policy(
                [
                    allow(permissions.READ_OBJECT_ACTIONS, [uploads, results, work]),
                    allow("s3:PutObject", [results, work]),
                    # Of a cancelled job; the bucket is versioned, so nothing is destroyed by it.
                    allow("s3:DeleteObject", [work, deletable]),
                    # Without it a deleted recording answers 403, as a fault of permissions does.
                    allow("s3:ListBucket", storage.bucket.bucket_arn),
                    permissions.allow_job_items(storage.table.table_arn),
                    permissions.allow_instance_items(storage.table.table_arn),
                    allow(permissions.CONSUME_ACTIONS, queues.jobs.queue_arn),
                    allow("sqs:SendMessage", queues.outbox.queue_arn),
                    allow("secretsmanager:GetSecretValue", resources.secret.secret_arn),
                    allow(permissions.WRITE_LOG_ACTIONS, group.log_group_arn),
                    *self._encryption.statements(WRITE_OBJECTS, USE_ITEMS, SEND_MESSAGES, READ_SECRET),
                ]
            ),
        )
        named_later = "Recordings and jobs are named after the role is made; it stays within the prefix."
        acknowledge_wildcards(role, dict.fromkeys((uploads, results, work, deletable), named_later))
        return role

    def _user_data(self, resources: AgentResources) -> str:
        """Ids and settings only: user data can be read by every process on the instance."""
        config, storage, queues = self._config, resources.storage, resources.queues
        stack = cdk.Stack.of(self)
        return stack.to_json_string(
            {
                "deployment": config.name,
                "region": stack.region,
                "bucket": storage.bucket.bucket_name,
                "table": storage.table.table_name,
                "jobs_queue_url": queues.jobs.queue_url,
                "outbox_queue_url": queues.outbox.queue_url,
                "secret_id": resources.secret.secret_arn,
                "log_group": self.log_group.log_group_name,
                "model": config.model,
                "linger_s": config.linger_s,
                "lease_s": config.lease_s,
                "heartbeat_s": config.heartbeat_s,
                "max_life_s": config.max_life_s,
                "max_failures": config.max_failures,
                "max_duration_s": config.max_duration_s,
                "insecure_callbacks": config.local,
                "device": config.device,
            }
        )

    def _launch_template(
        self, profile: iam.CfnInstanceProfile, network: Network, user_data: str
    ) -> ec2.CfnLaunchTemplate:
        """Everything but the image: λ capacity names that in each request, from the AMI parameter.

        EC2 takes ``resolve:ssm:`` in a template only for parameters of data type ``aws:ec2:image``, checked when the
        template is made; such a parameter cannot say ``none``, so a first deployment would fail.
        """
        template = ec2.CfnLaunchTemplate
        return template(
            self,
            "LaunchTemplate",
            launch_template_data=template.LaunchTemplateDataProperty(
                iam_instance_profile=template.IamInstanceProfileProperty(arn=profile.attr_arn),
                security_group_ids=[network.security_group.attr_group_id],
                instance_initiated_shutdown_behavior="terminate",
                metadata_options=template.MetadataOptionsProperty(
                    http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
                ),
                block_device_mappings=[
                    template.BlockDeviceMappingProperty(
                        device_name=ROOT_DEVICE,
                        ebs=template.EbsProperty(
                            volume_type="gp3",
                            volume_size=self._config.root_volume_gib,
                            encrypted=True,
                            kms_key_id=self._encryption.key_arn,
                            delete_on_termination=True,
                        ),
                    )
                ],
                tag_specifications=[self._tags("instance"), self._tags("volume")],
                user_data=cdk.Fn.base64(user_data),
            ),
            tag_specifications=[
                template.LaunchTemplateTagSpecificationProperty(
                    resource_type="launch-template",
                    tags=[cdk.CfnTag(key=DEPLOYMENT_TAG, value=self._config.name)],
                )
            ],
        )

    def _tags(self, resource_type: str) -> ec2.CfnLaunchTemplate.TagSpecificationProperty:
        return ec2.CfnLaunchTemplate.TagSpecificationProperty(
            resource_type=resource_type,
            tags=[
                cdk.CfnTag(key=DEPLOYMENT_TAG, value=self._config.name),
                cdk.CfnTag(key="Name", value=self._config.name),
            ],
        )
