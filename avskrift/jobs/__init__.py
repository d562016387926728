"""The job's life: its record, its states, the table and bucket it lives in, and the policy of the fleet that serves it.

Knows nothing of speech, and imports no compiled wheel: it runs in every Lambda.
"""
