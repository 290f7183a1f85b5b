"""The places that files come from."""
