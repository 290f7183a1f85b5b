"""The question whether to take over certificate authorities that masters have."""

import sys

import click

from k8sbootstrap.cli.console import say
from k8sbootstrap.pki.offer import Offer
from k8sbootstrap.run.progress import Reporter
from k8sbootstrap.survey.authorities import Allow


def allower(reporter: Reporter, *, yes: bool, text: bool) -> Allow | None:
    """Decides: with ``--yes`` takes them, asks on a terminal, takes none elsewhere.

    Args:
        reporter: Leaves the terminal free for the question.
        yes: Whether ``--yes`` was given.
        text: Whether the command's output is for people.
    """
    if yes:
        return lambda _: True
    if not (text and sys.stdin.isatty()):
        return None

    def allow(offer: Offer) -> bool:
        with reporter.paused():
            say(
                "The state directory has no certificate authorities. Anyone who has their keys controls the "
                f"cluster. Found on {', '.join(offer.hosts)}:"
            )
            for line in offer.lines():
                say(f"  {line}")
            try:
                return click.confirm(
                    "Do they belong to this cluster? Copy them to the state directory and use them?"
                )
            except click.Abort:
                raise KeyboardInterrupt from None

    return allow
