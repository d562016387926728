"""Standard Webhooks: sign, verify, send to addresses we don't trust, and when to try again."""
