"""Reads into types what the host's owner has set in programs that the cluster uses too."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

_NAME = re.compile(r"[\w.-]{1,128}")
_MANY = 1000


@dataclass(frozen=True)
class OwnedFile:
    """A file of settings."""

    text: str
    stock: bool
    """Whether it is unchanged from its package."""


@dataclass(frozen=True)
class DockerSettings:
    """How docker runs."""

    command_lines: tuple[str, ...] = ()
    """Its command lines: the running one, and that of its unit."""
    info: Mapping[str, Any] = field(default_factory=dict)
    """What the engine says of itself: of that, ``Swarm``."""
    containers: Sequence[Mapping[str, Any]] = ()
    """Running containers, each with ``Names``, ``Labels`` and ``HostConfig``, as the engine has them."""


@dataclass(frozen=True)
class RawDocker:
    """What the probe brings of docker: answers of its engine as they are."""

    command_lines: list[str]
    info: str
    containers: str


def read_docker(raw: RawDocker) -> DockerSettings:
    """docker, as far as its engine says what it is expected to say."""
    info = _json(raw.info, {})
    state = info.get("Swarm") if isinstance(info, dict) else None
    containers = _json(raw.containers, [])
    return DockerSettings(
        tuple(raw.command_lines),
        {"Swarm": {"LocalNodeState": str(state.get("LocalNodeState", ""))}}
        if isinstance(state, dict)
        else {},
        [_container(each) for each in containers[:_MANY] if isinstance(each, dict)]
        if isinstance(containers, list)
        else (),
    )


def _container(raw: Mapping[str, Any]) -> dict[str, Any]:
    names, labels, host = raw.get("Names"), raw.get("Labels"), raw.get("HostConfig")
    name = str(names[0]).lstrip("/") if isinstance(names, list) and names else "?"
    return {
        "Names": [name if _NAME.fullmatch(name) else "?"],
        "Labels": dict(labels) if isinstance(labels, dict) else {},
        "HostConfig": {"NetworkMode": host.get("NetworkMode") if isinstance(host, dict) else None},
    }


def _json(text: str, empty: Any) -> Any:
    try:
        return from_json(text) if text else empty
    except ValueError:
        return empty
