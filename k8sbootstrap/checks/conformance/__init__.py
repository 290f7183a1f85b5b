"""Upstream's Conformance tests: how a run on a master is asked for, and what is made of its answers."""
