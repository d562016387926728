"""``scripts/bench asr``: the engine against others, and what each of its ideas is worth."""
