"""Judgement about hosts and clusters, from what ``survey`` found: named checks and their reports."""
