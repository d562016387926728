"""avskrift: speech in a bucket, a signed webhook with its transcript out."""

__version__ = "0.1.0"
