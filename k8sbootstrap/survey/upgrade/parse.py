"""Reads answers of the API server into types. It runs nothing, so recorded output tests it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

DEPRECATED_METRIC = "apiserver_requested_deprecated_apis"
_VERSION = re.compile(r"^v?(\d+\.\d+\.\d+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_FINISHED = {"Succeeded", "Failed"}
_NONE = "<none>"


@dataclass(frozen=True)
class DeprecatedApi:
    """An API that clients use, and that a later release removes."""

    resource: str
    """As in ``cronjobs.v1beta1.batch``."""
    removed: str
    """The first minor without it, as in 1.25."""


@dataclass(frozen=True)
class BarePod:
    """A pod on a node."""

    name: str
    """``NAMESPACE/NAME``."""
    node: str


@dataclass(frozen=True)
class Budget:
    """A PodDisruptionBudget."""

    name: str
    """``NAMESPACE/NAME``."""
    allowed: int
    """How many of its pods may be evicted now."""
    pods: int
    """How many pods it covers."""
    healthy: int
    wanted: int
    """How many must be healthy."""


def version_of(text: str) -> str:
    """MAJOR.MINOR.PATCH of what a component says; empty when it is no version."""
    found = _VERSION.match(text)
    return found[1] if found else ""


def api_version(body: str) -> str:
    """The release in an API server's answer to /version; empty when it is none."""
    try:
        return version_of(from_json(body)["gitVersion"])
    except (ValueError, KeyError, TypeError):
        return ""


def deprecated_apis(metrics: str) -> Iterator[DeprecatedApi]:
    """Read the lines of the metric; APIs that are only discouraged name no release and are left out."""
    for line in metrics.splitlines():
        labels = dict(_LABEL.findall(line.partition("}")[0]))
        if labels.get("removed_release") and not line.endswith(" 0"):
            parts = (labels.get("resource"), labels.get("version"), labels.get("group"))
            yield DeprecatedApi(".".join(part for part in parts if part), labels["removed_release"])


def bare_pods(table: str) -> tuple[BarePod, ...]:
    """Pods without an owner that have not finished, from lines of namespace, name, node, phase, owners."""
    rows = [line.split() for line in table.splitlines()]
    return tuple(
        BarePod(f"{row[0]}/{row[1]}", row[2])
        for row in rows
        if row[4:] == [_NONE] and row[2] != _NONE and row[3] not in _FINISHED
    )


def budgets(listed: Mapping[str, Any]) -> tuple[Budget, ...]:
    """The PodDisruptionBudgets of a list."""
    return tuple(
        Budget(
            f"{item['metadata'].get('namespace', '')}/{item['metadata']['name']}",
            item.get("status", {}).get("disruptionsAllowed", 0),
            item.get("status", {}).get("expectedPods", 0),
            item.get("status", {}).get("currentHealthy", 0),
            item.get("status", {}).get("desiredHealthy", 0),
        )
        for item in listed["items"]
    )
