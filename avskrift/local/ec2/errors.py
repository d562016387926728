"""EC2's own errors, with its codes and its sentences: clients branch on them."""

from __future__ import annotations

from http import HTTPStatus


class Ec2Error(Exception):
    """An error answer of the EC2 API. Not an :class:`~avskrift.errors.AvskriftError`: it belongs to the caller."""

    def __init__(self, code: str, message: str, status: int = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def dry_run() -> Ec2Error:
    return Ec2Error(
        "DryRunOperation", "Request would have succeeded, but DryRun flag is set.", HTTPStatus.PRECONDITION_FAILED
    )


def instances_not_found(instance_ids: list[str]) -> Ec2Error:
    plural = len(instance_ids) > 1
    ids = ", ".join(instance_ids)
    message = f"The instance IDs '{ids}' do not exist" if plural else f"The instance ID '{ids}' does not exist"
    return Ec2Error("InvalidInstanceID.NotFound", message)


def malformed_instance_id(instance_id: str) -> Ec2Error:
    return Ec2Error("InvalidInstanceID.Malformed", f'Invalid id: "{instance_id}"')


def malformed_ami_id(image_id: str) -> Ec2Error:
    return Ec2Error("InvalidAMIID.Malformed", f'Invalid id: "{image_id}" (expecting "ami-...")')


def token_mismatch() -> Ec2Error:
    return Ec2Error(
        "IdempotentParameterMismatch", "The client token has already been used with a different set of parameters."
    )


def missing(parameter: str) -> Ec2Error:
    return Ec2Error("MissingParameter", f"The request must contain the parameter {parameter}")


def unsupported(what: str) -> Ec2Error:
    """For what AWS offers and this proxy does not: better refused than silently ignored."""
    return Ec2Error("UnsupportedOperation", f"The local EC2 proxy does not implement {what}.")
