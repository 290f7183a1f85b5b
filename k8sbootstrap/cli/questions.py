"""Asks the user before hosts are touched."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import click

from k8sbootstrap.cli.console import say
from k8sbootstrap.run.progress import Reporter

C = TypeVar("C")


def confirmer(
    reporter: Reporter, title: str, lines_of: Callable[[C], Iterable[str]], question: str
) -> Callable[[C], None]:
    """What shows what is to do and lets the user stop it with KeyboardInterrupt.

    Args:
        reporter: Shows the run; it pauses meanwhile.
        title: The line above.
        lines_of: What is to do, from what the steps found.
        question: Answered with yes or no.
    """

    def confirm(context: C) -> None:
        with reporter.paused():
            say(title)
            for line in lines_of(context):
                say(f"  {line}")
            try:
                go_on = click.confirm(question)
            except click.Abort:
                go_on = False
        if not go_on:
            raise KeyboardInterrupt

    return confirm
