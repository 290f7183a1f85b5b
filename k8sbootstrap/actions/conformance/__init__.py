"""Runs upstream's Conformance tests: ``verify --conformance``."""
