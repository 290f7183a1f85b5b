"""Distributions of hosts and the names of their packages: ``distributions.yaml`` as pydantic models."""

from collections.abc import Collection, Mapping
from functools import cache
from importlib import resources
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from k8sbootstrap.formats.bounded import load_own_yaml

Purpose = Literal["node", "nftables", "load_balancer", "virtual_ip", "containerd", "docker", "registry"]
"""What packages are for: running pods, reaching the API servers, their virtual IP, either runtime, and
serving images."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Platform(_Model):
    """Versions of distributions whose packages have the same names."""

    versions: Mapping[str, Annotated[tuple[str, ...], Field(min_length=1)]]
    """VERSION_IDs of /etc/os-release, or their part before the first dot, by ID."""
    manager: Literal["apt", "dnf"]
    kernel: str
    """Packages of the kernel's modules, for people; takes {arch}."""
    packages: Mapping[Purpose, Annotated[tuple[str, ...], Field(min_length=1)]]

    def covers(self, os_id: str, version: str) -> bool:
        """Whether a host with this ID and VERSION_ID is one of these."""
        known = self.versions.get(os_id, ())
        return version in known or version.partition(".")[0] in known

    def lacks(self, purposes: Collection[Purpose]) -> list[Purpose]:
        """Those of the purposes for which it has no packages."""
        return [purpose for purpose in purposes if purpose not in self.packages]

    def names(self, purposes: Collection[Purpose]) -> list[str]:
        """Packages for these purposes.

        Raises:
            KeyError: There are none for one of them.
        """
        return [name for purpose in purposes for name in self.packages[purpose]]


class Distributions(_Model):
    """The whole of ``distributions.yaml``."""

    names: Mapping[str, str]
    platforms: tuple[Platform, ...]
    held_units: Mapping[Purpose, tuple[str, ...]]
    selinux_booleans: Mapping[Purpose, tuple[str, ...]]

    @model_validator(mode="after")
    def _check(self) -> Self:
        ids = {os_id for platform in self.platforms for os_id in platform.versions}
        if ids != set(self.names):
            raise ValueError(f"names and platforms are not the same: {sorted(ids ^ set(self.names))}")
        return self


@cache
def load_distributions() -> Distributions:
    """Read the file, once.

    Raises:
        pydantic.ValidationError: It has an unknown key, or contradicts itself.
    """
    text = resources.files("k8sbootstrap.catalog").joinpath("distributions.yaml").read_text(encoding="utf-8")
    return Distributions.model_validate(load_own_yaml(text))


def platform_of(os_id: str, version: str) -> Platform | None:
    """The platform of a host by ID and VERSION_ID of its /etc/os-release; None where it is not supported."""
    return next((each for each in load_distributions().platforms if each.covers(os_id, version)), None)


def host_platforms(purposes: Collection[Purpose]) -> list[dict[str, object]]:
    """The packages for these purposes on every distribution that has them all.

    Returns:
        Per platform that has packages for all of them: ``os`` (ID and version), ``manager``, ``packages``.
    """
    return [
        {
            "os": [f"{os_id} {version}" for os_id, known in each.versions.items() for version in known],
            "manager": each.manager,
            "packages": each.names(purposes),
        }
        for each in load_distributions().platforms
        if not each.lacks(purposes)
    ]


def held_units(purposes: Collection[Purpose]) -> list[str]:
    """Units that must not start when the packages for these purposes are installed."""
    return [unit for purpose in purposes for unit in load_distributions().held_units.get(purpose, ())]


def selinux_booleans(purposes: Collection[Purpose]) -> list[str]:
    """Booleans of SELinux that the packages for these purposes need."""
    known = load_distributions().selinux_booleans
    return [name for purpose in purposes for name in known.get(purpose, ())]


def supported(purposes: Collection[Purpose] = ()) -> str:
    """The distributions that have packages for these purposes, as in ``Debian 12 or 13, ...``."""
    known = load_distributions()
    found = [
        f"{known.names[os_id]} {' or '.join(versions)}"
        for platform in known.platforms
        if not platform.lacks(purposes)
        for os_id, versions in platform.versions.items()
    ]
    return ", ".join(found)
