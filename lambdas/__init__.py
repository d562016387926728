"""The Lambda functions: thin handlers over ``avskrift.jobs``."""
