"""Faults that somebody could make in the stack, each with the rule that must notice it."""

from __future__ import annotations

from tests.infra import lasting_rules as lasting
from tests.infra import security_rules as rules
from tests.infra.planting import (
    Fault,
    add,
    add_clocked_function,
    alarm_on,
    allow,
    allowing,
    dead_letters,
    drop,
    launch_data,
    lifecycle,
    one,
    open_to_everybody,
    policy_statements,
    queue,
    resource,
    taken_by,
)

ENCRYPTION = (
    Fault(rules.stored_data_is_encrypted, "a plain bucket", lambda t: one(t, "S3::Bucket").pop("BucketEncryption")),
    Fault(
        rules.stored_data_is_encrypted,
        "a plain queue",
        lambda t: one(t, "SQS::Queue", "Outbox").update(SqsManagedSseEnabled=False),
    ),
    Fault(
        rules.stored_data_is_encrypted,
        "a plain disk",
        lambda t: launch_data(t)["BlockDeviceMappings"][0]["Ebs"].update(Encrypted=False),
    ),
    Fault(
        rules.stored_data_is_encrypted,
        "the image's own disk",
        lambda t: launch_data(t).update(BlockDeviceMappings=[{"Ebs": {}}]),
    ),
    *(
        Fault(rules.a_customers_key_is_over_everything, f"another key for {kind}", plant, customer_key=True)
        for kind, plant in (
            ("objects", lambda t: one(t, "S3::Bucket").pop("BucketEncryption")),
            ("rows", lambda t: one(t, "DynamoDB::Table").pop("SSESpecification")),
            ("dead letters", lambda t: dead_letters(t).update(KmsMasterKeyId="alias/aws/sqs")),
            ("alarms", lambda t: one(t, "SNS::Topic").pop("KmsMasterKeyId")),
            ("the secret", lambda t: one(t, "SecretsManager::Secret").pop("KmsKeyId")),
            ("agents' logs", lambda t: one(t, "Logs::LogGroup", "Fleet").pop("KmsKeyId")),
            ("disks", lambda t: launch_data(t)["BlockDeviceMappings"][0]["Ebs"].pop("KmsKeyId")),
        )
    ),
    Fault(
        rules.a_customers_key_is_over_everything,
        "a key for ever",
        lambda t: one(t, "KMS::Key").update(EnableKeyRotation=False),
        customer_key=True,
    ),
)

ACCESS = (
    *(
        Fault(rules.only_tls_is_spoken, f"no policy of a {kind}", lambda t, kind=kind: drop(t, kind))
        for kind in ("S3::BucketPolicy", "SQS::QueuePolicy", "SNS::TopicPolicy")
    ),
    Fault(
        rules.only_tls_is_spoken,
        "plain HTTP for some",
        lambda t: policy_statements(t, "S3::BucketPolicy")[0].update(Principal={"AWS": "arn:aws:iam::1:role/x"}),
    ),
    Fault(
        rules.only_tls_is_spoken,
        "plain HTTP for reading",
        lambda t: policy_statements(t, "S3::BucketPolicy")[0].update(Action="s3:PutObject"),
    ),
    Fault(
        rules.nothing_is_public,
        "a bucket that a policy may open",
        lambda t: one(t, "S3::Bucket")["PublicAccessBlockConfiguration"].update(BlockPublicPolicy=False),
    ),
    Fault(
        rules.nothing_is_public, "an open bucket", lambda t: one(t, "S3::Bucket").pop("PublicAccessBlockConfiguration")
    ),
    Fault(rules.nothing_is_public, "objects for all", lambda t: open_to_everybody(t, "S3::BucketPolicy")),
    Fault(rules.nothing_is_public, "messages for all", lambda t: open_to_everybody(t, "SQS::QueuePolicy")),
    *(
        Fault(rules.services_come_only_for_what_is_ours, title, plant, customer_key=True)
        for title, plant in (
            ("any rule's events", lambda t: allowing(policy_statements(t, "SQS::QueuePolicy")).pop("Condition")),
            ("any alarm's words", lambda t: allowing(policy_statements(t, "SNS::TopicPolicy")).pop("Condition")),
            ("any log's key", lambda t: one(t, "KMS::Key")["KeyPolicy"]["Statement"][1].pop("Condition")),
            ("any rule's calls", lambda t: one(t, "Lambda::Permission").pop("SourceArn")),
            ("anybody's calls", lambda t: one(t, "Lambda::Permission").update(Principal="*")),
        )
    ),
    Fault(rules.nothing_is_public, "a function's address", lambda t: add(t, "Lambda::Url", AuthType="NONE")),
)

PERMISSIONS = (
    Fault(rules.no_action_has_a_wildcard, "all of S3", lambda t: allow(t, "AgentRole", "s3:*")),
    Fault(
        rules.no_action_has_a_wildcard, "all reading", lambda t: allow(t, "RegisterRole", ["s3:PutObject", "s3:Get*"])
    ),
    Fault(
        rules.no_action_has_a_wildcard,
        "all but one",
        lambda t: one(t, "IAM::Role")["Policies"][0]["PolicyDocument"]["Statement"].append(
            {"Effect": "Allow", "NotAction": "iam:PassRole", "Resource": "arn:aws:s3:::b"}
        ),
    ),
    Fault(
        rules.no_action_has_a_wildcard,
        "a policy of AWS",
        lambda t: one(t, "IAM::Role", "AgentRole").update(
            ManagedPolicyArns=["arn:aws:iam::aws:policy/PowerUserAccess"]
        ),
    ),
    Fault(
        rules.no_action_has_a_wildcard,
        "a policy of its own",
        lambda t: add(
            t,
            "IAM::Policy",
            PolicyDocument={"Statement": {"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::b"}},
        ),
    ),
    Fault(
        rules.only_descriptions_are_allowed_on_everything,
        "any secret",
        lambda t: allow(t, "DeliverRole", "secretsmanager:GetSecretValue", "*"),
    ),
    Fault(
        rules.only_descriptions_are_allowed_on_everything,
        "ending any instance",
        lambda t: allow(t, "CapacityRole", ["ec2:DescribeInstances", "ec2:TerminateInstances"], ["*"]),
    ),
    Fault(
        rules.roles_are_taken_only_by_their_service,
        "a role for an account",
        lambda t: taken_by(t, "DeliverRole", {"AWS": "arn:aws:iam::123456789012:root"}),
    ),
    Fault(
        rules.roles_are_taken_only_by_their_service,
        "the agent's role for a function",
        lambda t: taken_by(t, "AgentRole", {"Service": "lambda.amazonaws.com"}),
    ),
    *(
        Fault(
            rules.agents_can_do_nothing_to_ec2,
            f"{action} by an agent",
            lambda t, act=action: allow(t, "AgentRole", act),
        )
        for action in ("ec2:TerminateInstances", "ec2:DescribeTags", "iam:PassRole", "sts:AssumeRole", "*")
    ),
)

NETWORK = (
    *(
        Fault(rules.metadata_needs_a_token_and_ends_at_the_instance, title, plant)
        for title, plant in (
            ("metadata without token", lambda t: launch_data(t)["MetadataOptions"].update(HttpTokens="optional")),
            ("metadata for others", lambda t: launch_data(t)["MetadataOptions"].update(HttpPutResponseHopLimit=2)),
            ("metadata as the account says", lambda t: launch_data(t).pop("MetadataOptions")),
        )
    ),
    Fault(
        rules.nothing_comes_in_and_only_https_goes_out,
        "SSH",
        lambda t: one(t, "EC2::SecurityGroup").update(
            SecurityGroupIngress=[{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"}]
        ),
    ),
    Fault(
        rules.nothing_comes_in_and_only_https_goes_out,
        "a way in beside the group",
        lambda t: add(t, "EC2::SecurityGroupIngress", IpProtocol="tcp", FromPort=22, ToPort=22),
    ),
    Fault(
        rules.nothing_comes_in_and_only_https_goes_out,
        "every way out",
        lambda t: one(t, "EC2::SecurityGroup").update(SecurityGroupEgress=[{"IpProtocol": "-1"}]),
    ),
    Fault(
        rules.s3_and_dynamodb_are_reached_inside_aws,
        "no endpoint for S3",
        lambda t: drop(t, "EC2::VPCEndpoint", "S3"),
    ),
    Fault(
        rules.s3_and_dynamodb_are_reached_inside_aws,
        "an endpoint that no route leads to",
        lambda t: one(t, "EC2::VPCEndpoint", "Dynamodb").update(RouteTableIds=[]),
    ),
    Fault(
        rules.s3_and_dynamodb_are_reached_inside_aws,
        "an endpoint that costs by the hour",
        lambda t: add(t, "EC2::VPCEndpoint", VpcEndpointType="Interface", ServiceName="com.amazonaws.x.sqs"),
    ),
    Fault(rules.s3_and_dynamodb_are_reached_inside_aws, "a NAT gateway", lambda t: add(t, "EC2::NatGateway")),
    Fault(
        rules.s3_and_dynamodb_are_reached_inside_aws,
        "a function in the network",
        lambda t: one(t, "Lambda::Function").update(VpcConfig={"SubnetIds": ["subnet-1"]}),
    ),
)

SECRETS = (
    *(
        Fault(rules.no_secret_is_in_user_data_or_environment, title, plant)
        for title, plant in (
            ("a key in user data", lambda t: launch_data(t).update(UserData={"Fn::Base64": '{"key": "whsec_MfKQ9r"}'})),
            (
                "the secret's value in user data",
                lambda t: launch_data(t).update(UserData={"Fn::Base64": "{{resolve:secretsmanager:x:SecretString}}"}),
            ),
            (
                "an address with a query in the environment",
                lambda t: one(t, "Lambda::Function", "Register")["Environment"]["Variables"].update(
                    AVSKRIFT_CALLBACK_URL="https://receiver.example/hook?sig=0123"
                ),
            ),
            (
                "a token in the environment",
                lambda t: one(t, "Lambda::Function")["Environment"]["Variables"].update(HUB_TOKEN="hf_x"),
            ),
            (
                "the secret's value in the environment",
                lambda t: one(t, "Lambda::Function", "Deliver")["Environment"]["Variables"].update(
                    AVSKRIFT_SECRET="{{resolve:secretsmanager:x:SecretString}}"
                ),
            ),
            (
                "a secret in the template",
                lambda t: one(t, "SecretsManager::Secret").update(SecretString='{"current": "x"}'),
            ),
            (
                "a secret among the outputs",
                lambda t: t["Outputs"].update(Key={"Value": "{{resolve:secretsmanager:x:SecretString}}"}),
            ),
        )
    ),
)

KEEPING = (
    Fault(lasting.logs_are_kept_for_a_time, "logs for ever", lambda t: one(t, "Logs::LogGroup").pop("RetentionInDays")),
    Fault(
        lasting.logs_are_kept_for_a_time,
        "a group that Lambda makes",
        lambda t: one(t, "Lambda::Function").pop("LoggingConfig"),
    ),
    Fault(
        lasting.logs_are_kept_for_a_time,
        "a group that an agent makes",
        lambda t: allow(t, "AgentRole", "logs:CreateLogGroup"),
    ),
    *(
        Fault(lasting.every_prefix_expires, title, plant)
        for title, plant in (
            ("checkpoints for ever", lambda t: lifecycle(t).pop(2)),
            ("a rule that is off", lambda t: lifecycle(t)[0].update(Status="Disabled")),
            ("recordings that only get a marker", lambda t: lifecycle(t)[0].pop("NoncurrentVersionExpiration")),
            ("markers for ever", lambda t: lifecycle(t)[3].pop("ExpiredObjectDeleteMarker")),
            ("unfinished uploads for ever", lambda t: lifecycle(t)[3].pop("AbortIncompleteMultipartUpload")),
            ("no rules", lambda t: one(t, "S3::Bucket").pop("LifecycleConfiguration")),
        )
    ),
    Fault(
        lasting.rows_expire_and_can_be_restored,
        "rows for ever",
        lambda t: one(t, "DynamoDB::Table").pop("TimeToLiveSpecification"),
    ),
    Fault(
        lasting.rows_expire_and_can_be_restored,
        "another column's time",
        lambda t: one(t, "DynamoDB::Table")["TimeToLiveSpecification"].update(AttributeName="ttl"),
    ),
    Fault(
        lasting.rows_expire_and_can_be_restored,
        "no way back",
        lambda t: one(t, "DynamoDB::Table").update(PointInTimeRecoverySpecification={}),
    ),
    *(
        Fault(
            lasting.data_outlives_the_stack,
            f"{kind} goes with the stack",
            lambda t, kind=kind: resource(t, kind).update(DeletionPolicy="Delete"),
            customer_key=True,
        )
        for kind in ("S3::Bucket", "DynamoDB::Table", "KMS::Key")
    ),
    Fault(
        lasting.data_outlives_the_stack,
        "a table that goes when replaced",
        lambda t: resource(t, "DynamoDB::Table").pop("UpdateReplacePolicy"),
    ),
    Fault(
        lasting.data_outlives_the_stack,
        "a table that a slip deletes",
        lambda t: one(t, "DynamoDB::Table").update(DeletionProtectionEnabled=False),
    ),
    Fault(
        lasting.data_outlives_the_stack,
        "a bucket that forgets what is replaced",
        lambda t: one(t, "S3::Bucket").pop("VersioningConfiguration"),
    ),
)

WORK = (
    *(
        Fault(lasting.no_message_is_lost_or_worked_on_twice, title, plant)
        for title, plant in (
            ("a queue without dead letters", lambda t: queue(t, "Outbox").pop("RedrivePolicy")),
            ("another queue beside", lambda t: add(t, "SQS::Queue", SqsManagedSseEnabled=True)),
            ("dead letters for a day", lambda t: dead_letters(t).update(MessageRetentionPeriod=86_400)),
            (
                "a message that comes back too soon",
                lambda t: queue(t, "Uploads").update(VisibilityTimeout=60),
            ),
            ("a slower function", lambda t: one(t, "Lambda::Function", "Deliver").update(Timeout=31)),
            (
                "an event that nobody could take",
                lambda t: one(t, "Events::Rule", "ObjectCreated")["Targets"][0].pop("DeadLetterConfig"),
            ),
        )
    ),
    *(
        Fault(
            lasting.somebody_is_woken,
            f"nobody hears of {metric} {part}".strip(),
            lambda t, m=metric, p=part: t["Resources"].pop(alarm_on(t, m, p)),
        )
        for metric, part in (
            *((each.name, "") for each in lasting.ALARMED_METRICS),
            *(("ApproximateNumberOfMessagesVisible", part) for part in ("UploadsDlq", "JobsDlq", "OutboxDlq")),
            *(("ApproximateAgeOfOldestMessage", part) for part in ("Uploads", "Outbox")),
            *(("Invocations", part) for part in ("Capacity", "Reconcile")),
            *(("Errors", part) for part in ("Capacity", "Reconcile")),
        )
    ),
    *(
        Fault(lasting.somebody_is_woken, title, plant)
        for title, plant in (
            ("an alarm that tells nobody", lambda t: one(t, "CloudWatch::Alarm").pop("AlarmActions")),
            ("an alarm that is switched off", lambda t: one(t, "CloudWatch::Alarm").update(ActionsEnabled=False)),
            (
                "silence that nobody hears",
                lambda t: t["Resources"][alarm_on(t, "Invocations", "Reconcile")]["Properties"].update(
                    TreatMissingData="notBreaching"
                ),
            ),
            (
                "dead letters that ring when they are gone",
                lambda t: t["Resources"][alarm_on(t, "ApproximateNumberOfMessagesVisible")]["Properties"].update(
                    ComparisonOperator="LessThanThreshold"
                ),
            ),
            ("one more function by the clock", add_clocked_function),
        )
    ),
)

FAULTS = (*ENCRYPTION, *ACCESS, *PERMISSIONS, *NETWORK, *SECRETS, *KEEPING, *WORK)
