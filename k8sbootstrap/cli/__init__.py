"""The command line: parse, call, print. One small file per command; logic lives elsewhere."""

from k8sbootstrap.cli.main import main

__all__ = ["main"]
