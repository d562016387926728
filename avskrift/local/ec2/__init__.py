"""The EC2 endpoint proxy: answers itself what the emulator's EC2 lacks, and forwards the rest untouched.

It owns instances and fleets. What a launch template, a subnet or an AMI parameter says is read from the emulator, so
the stack's own resources decide. :class:`~avskrift.local.ec2.server.Ec2Proxy` is the door.
"""
