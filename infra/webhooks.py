"""The secret that webhooks are signed with."""

from __future__ import annotations

import string

from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.acknowledged import acknowledge
from infra.encryption import Encryption

#: 32 letters and digits are also the base64 of 24 bytes, which is what ``whsec_…`` secrets of Standard Webhooks are.
SECRET_LENGTH = 32


class WebhookSecret(Construct):
    """``{"current": …}``, generated at deployment; rotation adds ``"previous"`` beside it."""

    def __init__(self, scope: Construct, construct_id: str, *, encryption: Encryption) -> None:
        super().__init__(scope, construct_id)
        secret = secretsmanager.CfnSecret(
            self,
            "Secret",
            description="Signs webhooks. JSON: current and, during a rotation, previous.",
            kms_key_id=encryption.key_arn,
            generate_secret_string=secretsmanager.CfnSecret.GenerateSecretStringProperty(
                secret_string_template="{}",  # noqa: S106 - the JSON that the generated value is put into
                generate_string_key="current",
                password_length=SECRET_LENGTH,
                exclude_punctuation=True,
                # Says the same once more, for generators that know only the list (the local emulator's).
                exclude_characters=string.punctuation,
            ),
        )
        acknowledge(
            secret,
            "SMG4",
            "Only its receivers can say when they know the next one: a rotation by the clock would make them refuse "
            "webhooks. Both are active while it is rotated by hand.",
        )
        # The attribute is the ARN everywhere; what Ref gives, which CDK's Secret uses, is only a name in the emulator.
        self.secret_arn = secret.attr_id
