"""The deployment as code: one CDK stack, assembled from one typed configuration.

``python -m infra`` is the CDK app that cdk.json names. :mod:`infra.config` says what can be set.
"""
