"""Where instances run: public subnets that nothing can connect into, without NAT or interface endpoints.

Written with the plain resources: CDK's own Vpc gives two zones when the account is not known at synthesis, and a
route table per subnet, where one is enough because all are public.
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from infra.acknowledged import acknowledge
from infra.config import Config

VPC_CIDR = "10.20.0.0/16"
#: 4,091 instances a zone; the third byte steps by 16 from zone to zone, so that adding a zone moves no other.
SUBNET_CIDR = "10.20.{third}.0/20"
SUBNET_STEP = 16
ANYWHERE = "0.0.0.0/0"
HTTPS_PORT = 443
ZONES_ARE_NAMED = cdk.Acknowledgment(
    id="CloudFormation-Validate::W3010",
    reason="Zones are a setting: a list by number could change its order and would replace the subnets under work.",
)


class Network(Construct):
    """A VPC of its own, one public subnet a zone, gateway endpoints for S3 and DynamoDB, and the security group."""

    def __init__(self, scope: Construct, construct_id: str, *, config: Config) -> None:
        super().__init__(scope, construct_id)
        self.vpc = ec2.CfnVPC(
            self,
            "Vpc",
            cidr_block=VPC_CIDR,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=[cdk.CfnTag(key="Name", value=config.name)],
        )
        acknowledge(
            self.vpc,
            "VPC7",
            "Nothing can connect in and only HTTPS goes out, so a flow log would list addresses of AWS, model hubs and "
            "webhook receivers; who needs it turns it on for the account.",
        )
        route_table = self._public_routes()
        self.subnets = [
            self._subnet(number, zone, route_table) for number, zone in enumerate(config.availability_zones)
        ]
        cdk.Validations.of(self).acknowledge(ZONES_ARE_NAMED)
        for service in ("s3", "dynamodb"):
            self._gateway_endpoint(service, route_table)
        self.security_group = self._security_group()

    @property
    def subnet_ids(self) -> list[str]:
        return [subnet.ref for subnet in self.subnets]

    def _public_routes(self) -> ec2.CfnRouteTable:
        gateway = ec2.CfnInternetGateway(self, "InternetGateway")
        attachment = ec2.CfnVPCGatewayAttachment(
            self, "GatewayAttachment", vpc_id=self.vpc.ref, internet_gateway_id=gateway.ref
        )
        route_table = ec2.CfnRouteTable(self, "RouteTable", vpc_id=self.vpc.ref)
        route = ec2.CfnRoute(
            self,
            "DefaultRoute",
            route_table_id=route_table.ref,
            destination_cidr_block=ANYWHERE,
            gateway_id=gateway.ref,
        )
        route.add_resource_dependency(attachment)
        return route_table

    def _subnet(self, number: int, zone: str, route_table: ec2.CfnRouteTable) -> ec2.CfnSubnet:
        suffix = zone[-1].upper()
        subnet = ec2.CfnSubnet(
            self,
            f"Subnet{suffix}",
            vpc_id=self.vpc.ref,
            availability_zone=zone,
            cidr_block=SUBNET_CIDR.format(third=number * SUBNET_STEP),
            map_public_ip_on_launch=True,
        )
        ec2.CfnSubnetRouteTableAssociation(
            self, f"Subnet{suffix}Routes", subnet_id=subnet.ref, route_table_id=route_table.ref
        )
        return subnet

    def _gateway_endpoint(self, service: str, route_table: ec2.CfnRouteTable) -> None:
        ec2.CfnVPCEndpoint(
            self,
            f"{service.capitalize()}Endpoint",
            vpc_id=self.vpc.ref,
            service_name=f"com.amazonaws.{cdk.Stack.of(self).region}.{service}",
            vpc_endpoint_type="Gateway",
            route_table_ids=[route_table.ref],
        )

    def _security_group(self) -> ec2.CfnSecurityGroup:
        """No way in; out only to HTTPS (Amazon's DNS, time and metadata addresses pass security groups anyway)."""
        return ec2.CfnSecurityGroup(
            self,
            "SecurityGroup",
            vpc_id=self.vpc.ref,
            group_description="avskrift instances: nothing in, HTTPS out",
            security_group_ingress=[],
            security_group_egress=[
                ec2.CfnSecurityGroup.EgressProperty(
                    ip_protocol="tcp",
                    from_port=HTTPS_PORT,
                    to_port=HTTPS_PORT,
                    cidr_ip=ANYWHERE,
                    description="AWS services, model hubs and webhook receivers",
                )
            ],
        )
