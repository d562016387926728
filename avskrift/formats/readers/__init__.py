"""Files that are read back into a Transcript."""
