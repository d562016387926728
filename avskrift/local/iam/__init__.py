"""Which rights a call to AWS needs, and whether a role's policies give them."""
