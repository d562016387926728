"""How well the quality gate tells good text from bad: planted failures and good chunks through the real model."""
