"""Speech to :class:`~avskrift.transcript.Transcript`.

``engine`` is the side that callers import: pure Python. Everything that touches media or a model runs in the process of
``worker``, so that a native crash, a leak or a hostile file costs one file and never the caller.
"""
