"""The stack: one construct per concern, put together, and the outputs by which others find the parts."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from constructs import Construct

from avskrift import __version__
from avskrift.jobs.fleet import DEPLOYMENT_TAG
from infra.config import Config
from infra.encryption import Encryption
from infra.fleet import AgentResources, Fleet
from infra.functions import Functions, Surroundings
from infra.network import Network
from infra.observability import Observability
from infra.queues import Queues
from infra.storage import Storage
from infra.webhooks import WebhookSecret


class AvskriftStack(cdk.Stack):
    """Everything one deployment needs; the local cloud deploys this same stack."""

    def __init__(self, scope: Construct, construct_id: str, *, config: Config, env: cdk.Environment) -> None:
        super().__init__(
            scope,
            construct_id,
            env=env,
            description="avskrift: a recording in, a signed webhook with its transcript out.",
            tags={DEPLOYMENT_TAG: config.name},
        )
        encryption = Encryption(self, "Encryption", config=config)
        storage = Storage(self, "Storage", config=config, encryption=encryption)
        queues = Queues(self, "Queues", config=config, encryption=encryption, bucket=storage.bucket)
        secret = WebhookSecret(self, "Webhooks", encryption=encryption)
        network = Network(self, "Network", config=config)
        agent_resources = AgentResources(storage=storage, queues=queues, secret=secret, encryption=encryption)
        fleet = Fleet(self, "Fleet", config=config, resources=agent_resources, network=network)
        surroundings = Surroundings(
            config=config,
            encryption=encryption,
            storage=storage,
            queues=queues,
            secret=secret,
            network=network,
            fleet=fleet,
        )
        functions = Functions(self, "Functions", surroundings=surroundings)
        observability = Observability(self, "Observability", surroundings=surroundings, functions=functions)
        self._outputs(
            {
                "Deployment": config.name,
                "BucketName": storage.bucket.bucket_name,
                "TableName": storage.table.table_name,
                "UploadsQueueUrl": queues.uploads.queue_url,
                "UploadsDlqUrl": queues.uploads_dlq.queue_url,
                "JobsQueueUrl": queues.jobs.queue_url,
                "JobsDlqUrl": queues.jobs_dlq.queue_url,
                "OutboxQueueUrl": queues.outbox.queue_url,
                "OutboxDlqUrl": queues.outbox_dlq.queue_url,
                "RegisterFunction": functions.register.function_name,
                "CapacityFunction": functions.capacity.function_name,
                "ReconcileFunction": functions.reconcile.function_name,
                "DeliverFunction": functions.deliver.function_name,
                "LaunchTemplateId": fleet.launch_template.ref,
                "AmiParameter": config.ami_parameter,
                "SecretId": secret.secret_arn,
                "SubnetIds": ",".join(network.subnet_ids),
                "AgentLogGroup": fleet.log_group.log_group_name,
                "AlarmTopicArn": observability.topic_arn,
                "InstanceTypes": ",".join(config.instance_types),
                "Version": __version__,
            }
        )

    def _outputs(self, values: Mapping[str, str]) -> None:
        for name, value in values.items():
            cdk.CfnOutput(self, name, value=value)
