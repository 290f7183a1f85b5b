"""Distributions: which are supported, and what is installed on them."""

from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from k8sbootstrap.catalog.distributions import (
    Distributions,
    Purpose,
    held_units,
    host_platforms,
    load_distributions,
    platform_of,
    supported,
)


def test_names_differ_between_distributions():
    debian, rocky = platform_of("debian", "12"), platform_of("rocky", "9.5")
    assert debian
    assert rocky
    assert debian.names(["node", "docker"]) == [
        *("conntrack", "ethtool", "iproute2", "iptables", "kmod", "socat"),
        "docker.io",
    ]
    assert {"conntrack-tools", "iproute", "iptables-nft", "container-selinux"} <= set(rocky.names(["node"]))
    assert rocky.lacks(["node", "docker"]) == ["docker"]
    assert rocky.lacks(["node", "load_balancer"]) == []


def test_hosts_are_given_only_platforms_that_have_everything():
    assert {each["manager"] for each in host_platforms(["node"])} == {"apt", "dnf"}
    assert {each["manager"] for each in host_platforms(["node", "docker"])} == {"apt"}
    assert all(each["packages"] == [] for each in host_platforms([]))


def test_units_that_packages_start_are_held():
    assert held_units(["node", "docker", "load_balancer"]) == [
        *("containerd.service", "docker.service", "docker.socket", "haproxy.service")
    ]
    assert held_units(["node"]) == []


def test_the_supported_ones_in_words():
    assert supported().startswith("Debian 12 or 13, Ubuntu 22.04 or 24.04, RHEL 9 or 10, Rocky Linux 9 or 10")
    assert supported(["docker"]) == "Debian 12 or 13, Ubuntu 22.04 or 24.04"


def test_every_purpose_has_packages_somewhere():
    for purpose in get_args(Purpose):
        assert supported([purpose]), purpose


@pytest.mark.parametrize(
    "change",
    [
        {"names": {}},
        {"more": 1},
        {"held_units": {"games": []}},
    ],
)
def test_contradictions_are_refused(change):
    document = load_distributions().model_dump()
    Distributions.model_validate(document)
    with pytest.raises(ValidationError):
        Distributions.model_validate({**document, **change})


def test_the_documentation_names_every_package_and_version():
    page = (Path(__file__).parents[3] / "docs/distributions.md").read_text()
    known = load_distributions()
    for platform in known.platforms:
        for os_id, versions in platform.versions.items():
            row = f"| {known.names[os_id]} {', '.join(versions)} | `{os_id}` | {platform.manager} |"
            assert row in page
        for names in platform.packages.values():
            assert " ".join(f"`{name}`" for name in names) in page
