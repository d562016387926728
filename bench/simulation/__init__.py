"""A day of the fleet in a minute: the real policy (``avskrift.jobs.policy``) over a modelled world.

Only the policy decides; everything around it (uploads, EC2, agents, receivers) is a model with stated assumptions
(``assumptions.py``), driven by one loop of events (``loop.py``). ``policy_adapter.py`` is the one module that knows
the policy.
"""
