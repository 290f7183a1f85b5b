"""Why controls are left at WARN, or can't be judged, in a cluster as it is installed."""

from functools import cache
from importlib.resources import files

from k8sbootstrap.formats.bounded import load_own_yaml


@cache
def reasons() -> dict[str, str]:
    """Reason by ID of the control; ``reasons.yaml`` has them."""
    text = files(__package__).joinpath("reasons.yaml").read_text(encoding="utf-8")
    found: dict[str, str] = load_own_yaml(text)
    return found
