"""The valid parts of a cluster file, so that rules can be applied while other parts have errors."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import TypeAdapter

from k8sbootstrap.config.models.addons import Manifest
from k8sbootstrap.config.models.artifacts import Artifacts
from k8sbootstrap.config.models.base import Model
from k8sbootstrap.config.models.cluster import Hook
from k8sbootstrap.config.models.etcd import Etcd
from k8sbootstrap.config.models.hosts import SSH, Host
from k8sbootstrap.config.models.network import Api, Dns, Network
from k8sbootstrap.config.models.releases import Kubernetes, OwnRelease
from k8sbootstrap.config.models.runtime import ImageRegistry, Runtime

M = TypeVar("M", bound=Model)
T = TypeVar("T")
_MANIFEST: TypeAdapter[Manifest] = TypeAdapter(Manifest)


@dataclass(frozen=True)
class Draft:
    """The valid parts of a ``Cluster``; None stands for a part with errors."""

    name: str | None
    kubernetes: Kubernetes | None
    hosts: Mapping[int, Host]
    """Valid hosts by their position in the file."""
    all_hosts: bool
    """Whether ``hosts`` holds every host of the file: counting makes sense only then."""
    ssh: SSH | None
    releases: Mapping[str, OwnRelease]
    """Valid releases by their version."""
    bad_releases: frozenset[str] | None
    """Versions of releases with errors; None where not even the versions could be read."""
    runtime: Runtime | None
    registry: ImageRegistry | None
    network: Network | None
    dns: Dns | None
    api: Api | None
    etcd: Etcd | None
    artifacts: Artifacts | None
    manifests: Mapping[int, Manifest]
    """Valid manifests by their position in the file."""
    hooks: Mapping[int, Hook]
    """Valid hooks by their position in the file."""

    @classmethod
    def of(cls, data: Any, bad: Iterable[tuple[str | int, ...]]) -> "Draft":
        """Read what can be read.

        Args:
            data: The file's content.
            bad: Locations at which validating it as a ``Cluster`` found errors.
        """
        content = data if isinstance(data, dict) else {}
        bad = set(bad)
        bad_keys = {location[0] for location in bad if location}

        def part(key: str, model: type[M], *, required: bool = False) -> M | None:
            if key in bad_keys or (required and key not in content):
                return None
            return model.model_validate(content.get(key, {}), by_alias=True, by_name=False)

        def entries(key: str, read: Callable[[Any], T]) -> dict[int, T]:
            bad_entries = {location[1] for location in bad if location[:1] == (key,) and len(location) > 1}
            listed = content.get(key)
            return {
                index: read(entry)
                for index, entry in enumerate(listed if isinstance(listed, list) else [])
                if index not in bad_entries
            }

        def model(kind: type[M]) -> Callable[[Any], M]:
            return lambda entry: kind.model_validate(entry, by_alias=True, by_name=False)

        bad_releases = {
            str(location[1]) for location in bad if location[:1] == ("releases",) and location[1:]
        }
        own = {} if ("releases",) in bad else content.get("releases", {})
        releases = {
            version: OwnRelease.model_validate(entry, by_alias=True, by_name=False)
            for version, entry in own.items()
            if str(version) not in bad_releases
        }
        return cls(
            name=None if "name" in bad_keys else content.get("name"),
            kubernetes=part("kubernetes", Kubernetes, required=True),
            hosts=entries("hosts", model(Host)),
            all_hosts="hosts" not in bad_keys and bool(content.get("hosts")),
            ssh=part("ssh", SSH),
            releases=releases,
            bad_releases=None if ("releases",) in bad else frozenset(bad_releases),
            runtime=part("runtime", Runtime),
            registry=part("registry", ImageRegistry, required=True),
            network=part("network", Network),
            dns=part("dns", Dns),
            api=part("api", Api),
            etcd=part("etcd", Etcd),
            artifacts=part("artifacts", Artifacts),
            manifests=entries(
                "manifests", lambda entry: _MANIFEST.validate_python(entry, by_alias=True, by_name=False)
            ),
            hooks=entries("hooks", model(Hook)),
        )

    def effective_etcd(self) -> list[int]:
        """Positions of the hosts that hold etcd: those of role etcd, or else the masters."""
        separate = [index for index, host in self.hosts.items() if "etcd" in host.roles]
        return separate or [index for index, host in self.hosts.items() if "master" in host.roles]
