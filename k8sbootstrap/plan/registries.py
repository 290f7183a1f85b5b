"""How nodes reach image registries: every URL, CA and login of every registry and of its mirrors."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from urllib3.util import parse_url

from k8sbootstrap.config.models.hosts import Host
from k8sbootstrap.config.models.runtime import ImageRegistry, Registry
from k8sbootstrap.config.paths import local_path
from k8sbootstrap.formats.image_names import DOCKER_HUB, registry_host

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


@dataclass(frozen=True)
class LocalRegistry:
    """The cluster's own registry."""

    host: str
    """Name of the host that it runs on."""
    address: str
    """IP address that nodes reach it at."""
    port: int
    data_folder: str

    @property
    def authority(self) -> str:
        """ADDRESS:PORT, as names of images may begin with."""
        return f"{self.address}:{self.port}"


def plan_local_registry(registry: ImageRegistry | None, hosts: Sequence[Host]) -> LocalRegistry | None:
    """Where the registry that cluster.yaml asks for will be.

    Args:
        registry: ``registry`` of cluster.yaml.
        hosts: ``hosts`` of it.
    """
    if registry is None:
        return None
    address = next(host.cluster_address for host in hosts if host.name == registry.host)
    return LocalRegistry(registry.host, str(address), registry.port, registry.data_folder)


def name_in_local(ref: str) -> tuple[str, str]:
    """Name and tag of an image in the cluster's own registry.

    Those of docker.io keep their names, for docker asks mirrors for nothing else; others begin with theirs.

    Args:
        ref: Full reference, with a tag.
    """
    name, _, tag = ref.rpartition(":")
    host, _, rest = name.partition("/")
    return (rest if host == DOCKER_HUB else f"{_as_folder(host)}/{rest}"), tag


def with_local(
    registries: Sequence[RegistryPlan], local: LocalRegistry, refs: Iterable[str], ca: Path
) -> tuple[RegistryPlan, ...]:
    """Put the cluster's own registry before all others that images come from.

    Args:
        registries: What cluster.yaml says of registries.
        local: The cluster's own.
        refs: Full references of the images that it has.
        ca: The CA of its certificate.
    """
    known = {registry.host: registry for registry in registries}
    url = f"https://{local.authority}"
    for host in dict.fromkeys(ref.partition("/")[0] for ref in refs):
        path = "" if host == DOCKER_HUB else f"/v2/{_as_folder(host)}"
        mirror = MirrorPlan(url + path, local.authority, ca=True, login=False)
        given = known.get(host) or RegistryPlan(host, _server(host), None, ())
        known[host] = replace(given, mirrors=(mirror, *given.mirrors))
    return (*known.values(), RegistryPlan(local.authority, url, ca, ()))


def _as_folder(host: str) -> str:
    """A registry's host as a part of an image's name."""
    return host.replace(":", "_")


def plan_registries(registries: Sequence[Registry], base: Path) -> tuple[RegistryPlan, ...]:
    """Combine the entries of registries and of their mirrors.

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


def _mirror(url: str, known: Mapping[str, Registry]) -> MirrorPlan:
    host = registry_host(url)
    entry = known.get(host)
    return MirrorPlan(
        url=url.rstrip("/"),
        host=host,
        ca=entry is not None and entry.ca is not None,
        login=entry is not None and entry.username is not None,
    )
