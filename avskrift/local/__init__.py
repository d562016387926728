"""The cloud on one machine: emulator, EC2 proxy, instances as processes, metadata servers (design §8).

Start with :class:`avskrift.local.cloud.Cloud`; the command line's ``avskrift cloud`` is a thin layer over it.
Everything listens on loopback only and ends with the supervisor, however that ends.
"""
