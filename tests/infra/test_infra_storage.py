"""What is kept, and for how long: the bucket and the table."""

from __future__ import annotations

from typing import Any

import pytest
from aws_cdk.assertions import Match, Template

from tests.infra.template_reading import Resources, of_type, only


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


@pytest.mark.parametrize(("uploads_days", "kept_days"), [(30, 30), (2, 7)])
def test_what_is_removed_outside_the_prefixes_goes_too_and_shortens_no_period_within_them(
    synthesize: Any, uploads_days: int, kept_days: int
) -> None:
    bucket = only(synthesize(uploads_expire_days=uploads_days).to_json()["Resources"], "AWS::S3::Bucket")
    rules = bucket["LifecycleConfiguration"]["Rules"]
    (everywhere,) = [rule for rule in rules if "Prefix" not in rule]

    assert "ExpirationInDays" not in everywhere
    assert everywhere["NoncurrentVersionExpiration"] == {"NoncurrentDays": kept_days}
    assert max(rule["NoncurrentVersionExpiration"]["NoncurrentDays"] for rule in rules) == kept_days


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


def test_the_bucket_is_called_as_the_setting_says_and_a_renamed_one_leaves_the_old_behind(synthesize: Any) -> None:
    synthesize(bucket_name="our-recordings").has_resource(
        "AWS::S3::Bucket", {"Properties": {"BucketName": "our-recordings"}, "UpdateReplacePolicy": "Retain"}
    )


def test_data_goes_with_the_stack_only_where_that_was_asked_for(synthesize: Any) -> None:
    template: Template = synthesize(retain_data=False)

    for kind in ("AWS::S3::Bucket", "AWS::DynamoDB::Table"):
        template.has_resource(kind, {"DeletionPolicy": "Delete", "UpdateReplacePolicy": "Delete"})
    template.has_resource_properties("AWS::DynamoDB::Table", {"DeletionProtectionEnabled": False})


def test_data_outlives_the_stack_unless_told_otherwise(template: Template) -> None:
    for kind in ("AWS::S3::Bucket", "AWS::DynamoDB::Table"):
        template.has_resource(kind, {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"})
