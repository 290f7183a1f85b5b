"""The one way to print text on the terminal. Text of hosts is shown there, without control characters."""

from collections.abc import Iterable

import click
from rich.console import Console
from rich.segment import Segment

from k8sbootstrap.formats.text import printable


class PlainConsole(Console):
    """A console that shows only printable characters; the colors and cursor movements of its own stay."""

    def _render_buffer(self, buffer: Iterable[Segment]) -> str:
        return super()._render_buffer(
            segment if segment.control else Segment(printable(segment.text), segment.style)
            for segment in buffer
        )


def say(text: str, *, err: bool = False) -> None:
    """Print a line as it is, but for characters that a terminal would obey."""
    click.echo(printable(text), err=err)
