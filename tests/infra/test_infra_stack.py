"""The whole stack: its outputs, its secret, and what the local cloud changes."""

from __future__ import annotations

from typing import Any

from aws_cdk.assertions import Template

from tests.infra.template_reading import different_properties

OUTPUTS = set(
    "Deployment BucketName TableName UploadsQueueUrl UploadsDlqUrl JobsQueueUrl JobsDlqUrl OutboxQueueUrl OutboxDlqUrl "
    "RegisterFunction ReconcileFunction CapacityFunction DeliverFunction LaunchTemplateId AmiParameter SecretId "
    "SubnetIds AgentLogGroup AlarmTopicArn InstanceTypes Version".split()
)


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


def test_the_local_cloud_differs_only_in_removal_callbacks_and_what_the_emulator_refuses(
    template: Template, synthesize: Any
) -> None:
    local = synthesize(local=True).to_json()["Resources"]
    real = template.to_json()["Resources"]

    refused = {name: each for name, each in real.items() if name not in local}
    assert [each["Type"] for each in refused.values()] == ["AWS::Logs::QueryDefinition"]
    assert set(local) < set(real)
    assert different_properties(local, real) == {
        "AWS::Lambda::Function.Environment",  # AVSKRIFT_INSECURE_CALLBACKS
        "AWS::EC2::LaunchTemplate.LaunchTemplateData",  # "insecure_callbacks" in the user data
        "AWS::DynamoDB::Table.DeletionProtectionEnabled",
    }
    assert {each["DeletionPolicy"] for each in local.values() if "DeletionPolicy" in each} == {"Delete"}
