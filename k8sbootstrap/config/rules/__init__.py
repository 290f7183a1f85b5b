"""Rules that span fields or need the local machine; each yields every breach it finds."""

from collections.abc import Iterator
from pathlib import Path

from k8sbootstrap.config.draft import Draft
from k8sbootstrap.config.rules.finding import Finding


def check(draft: Draft, base: Path) -> Iterator[Finding]:
    """Apply every rule to the parts of a cluster file that could be read.

    Args:
        draft: The valid parts.
        base: The folder of the cluster file, absolute; relative paths in it start there.
    """
    yield from ()
