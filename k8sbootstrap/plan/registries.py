"""How nodes reach image registries: every URL, CA and login of every registry and of its mirrors."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from urllib3.util import parse_url

from k8sbootstrap.config.models import Registry
from k8sbootstrap.config.paths import local_path

DOCKER_HUB = "docker.io"
_API = "/v2"
_SERVERS = {DOCKER_HUB: "registry-1.docker.io"}
"""Hosts that serve another name than images have."""


@dataclass(frozen=True)
class MirrorPlan:
    """A registry that is asked before another one."""

    url: str
    host: str
    """HOST or HOST:PORT in ``url``; what is known of it is under that name."""
    ca: bool
    """Whether a CA for it is known."""
    login: bool
    """Whether a login for it is known."""


@dataclass(frozen=True)
class RegistryPlan:
    """One registry as nodes should reach it."""

    host: str
    server: str
    """URL that is asked after the mirrors."""
    ca: Path | None
    mirrors: tuple[MirrorPlan, ...]


def plan_registries(registries: Sequence[Registry], base: Path) -> tuple[RegistryPlan, ...]:
    """Put together what entries say of hosts that stand in for each other.

    Args:
        registries: ``runtime.registries`` of cluster.yaml.
        base: The folder of cluster.yaml.
    """
    known = {registry.host: registry for registry in registries}
    return tuple(
        RegistryPlan(
            host=registry.host,
            server=_server(registry.host),
            ca=local_path(registry.ca, base) if registry.ca else None,
            mirrors=tuple(_mirror(url, known) for url in registry.mirrors),
        )
        for registry in registries
    )


def endpoints(registries: Sequence[RegistryPlan], host: str) -> Iterator[tuple[str, str, Path | None]]:
    """Where a registry's images are asked for, in order: URL with the API's path, its host and the host's CA.

    Args:
        registries: What cluster.yaml says of registries.
        host: What names of the images begin with.
    """
    known = {registry.host: registry for registry in registries}
    own = known.get(host)
    for mirror in own.mirrors if own else ():
        entry = known.get(mirror.host)
        path = "" if parse_url(mirror.url).path else _API  # a path of its own stands for it
        yield f"{mirror.url}{path}", mirror.host, entry.ca if entry else None
    yield f"{own.server if own else _server(host)}{_API}", host, own.ca if own else None


def _server(host: str) -> str:
    return f"https://{_SERVERS.get(host, host)}"


def registry_host(url: str) -> str:
    """HOST or HOST:PORT of a URL, as names of images begin with it."""
    parsed = parse_url(url)
    return f"{parsed.host}:{parsed.port}" if parsed.port else str(parsed.host)


def _mirror(url: str, known: Mapping[str, Registry]) -> MirrorPlan:
    host = registry_host(url)
    entry = known.get(host)
    return MirrorPlan(
        url=url.rstrip("/"),
        host=host,
        ca=entry is not None and entry.ca is not None,
        login=entry is not None and entry.username is not None,
    )
