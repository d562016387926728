"""What is to be seen of a deployment: alarms that wake somebody, a dashboard for whoever looks, and a saved query."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.alarms import Alarms
from infra.config import Config
from infra.dashboard import Overview
from infra.functions import Functions, Surroundings

#: Logs Insights: everything about one job, oldest first. Its id is the correlation id from the upload to the webhook.
LIFE_OF_A_JOB = """fields @timestamp, service, level, message, status, error, action, state, attempts, http_status
| filter job_id = "PUT THE JOB'S ID HERE"
| sort @timestamp asc
| limit 1000"""


class Observability(Construct):
    """Alarms, the topic they are told to, and the dashboard."""

    def __init__(
        self, scope: Construct, construct_id: str, *, surroundings: Surroundings, functions: Functions
    ) -> None:
        """``surroundings.encryption.key`` is the topic's; its policy knows the alarms ``<name>-*``."""
        super().__init__(scope, construct_id)
        config = surroundings.config
        topic = self._topic(config, surroundings.encryption.key)
        self.topic_arn = topic.topic_arn
        alarms = Alarms(self, "Alarms", surroundings=surroundings, functions=functions, topic=topic).alarms
        if config.dashboard:
            Overview(self, "Overview", surroundings=surroundings, functions=functions, alarms=alarms)
        if not config.local:  # the emulator refuses queries
            self._query(surroundings, functions)

    def _topic(self, config: Config, key: kms.IKey | None) -> sns.ITopic:
        """The topic that was named, or else one of our own.

        Without a key of the deployment's own it is not encrypted: CloudWatch cannot publish to a topic under SNS' own
        key ("Amazon SNS key management", read 2026-11). What is told is the names of alarms, and no job.
        """
        if config.alarm_topic_arn:
            return sns.Topic.from_topic_arn(self, "Topic", config.alarm_topic_arn)
        topic = sns.Topic(
            self, "Topic", display_name=f"avskrift alarms of {config.name}", master_key=key, enforce_ssl=True
        )
        topic.add_to_resource_policy(_alarms_may_publish(cdk.Stack.of(self), config, topic))
        if config.alarm_email:
            topic.add_subscription(subscriptions.EmailSubscription(config.alarm_email))
        return topic

    def _query(self, surroundings: Surroundings, functions: Functions) -> None:
        parts = (functions.register, functions.reconcile, functions.capacity, functions.deliver)
        groups = [surroundings.fleet.log_group, *(part.log_group for part in parts)]
        logs.CfnQueryDefinition(
            self,
            "LifeOfAJob",
            name=f"avskrift/{surroundings.config.name}/life of a job",
            query_string=LIFE_OF_A_JOB,
            log_group_names=[group.log_group_name for group in groups],
        )


def _alarms_may_publish(stack: cdk.Stack, config: Config, topic: sns.Topic) -> iam.PolicyStatement:
    """A topic with a policy of its own has lost the default one, which lets the account's alarms in."""
    alarms = stack.format_arn(
        service="cloudwatch",
        resource="alarm",
        resource_name=f"{config.name}-*",
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )
    return iam.PolicyStatement(
        sid="OurAlarms",
        principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
        actions=["sns:Publish"],
        resources=[topic.topic_arn],
        conditions={"StringEquals": {"aws:SourceAccount": stack.account}, "ArnLike": {"aws:SourceArn": alarms}},
    )
