"""What a rule reports."""

from typing import NamedTuple

from k8sbootstrap.config.document import Location


class Finding(NamedTuple):
    """One breach of a rule."""

    location: Location
    """Where, spelled as in the file."""
    message: str
    fix: str
