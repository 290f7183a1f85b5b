"""Any release whose programs are at hand, with both runtimes: up, verify, up again, kube-proxy's modes.

Which ones is said by the environment:

- K8SBOOTSTRAP_E2E_VERSIONS: releases, as in 1.35.6,1.36.3. Those whose programs are nowhere are skipped.
- K8SBOOTSTRAP_E2E_ARTIFACTS: artifact directories (NAME/VERSION/ARCH/FILE), separated by colons; the caches
  of k8sbootstrap and of the lab are looked in too.
- K8SBOOTSTRAP_E2E_OS: debian12, debian13 or both, separated by a comma; debian12 where it says nothing.

``--durations=0`` shows how long each step took.
"""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from labs import Lab, make_lab, summary
from snapshot import differences, snapshot

from k8sbootstrap.artifacts.cache import cache_dir
from k8sbootstrap.catalog.resolve import release
from k8sbootstrap.lab import artifacts

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.e2e

ARCH = "amd64"
RUNTIMES = ("containerd", "docker")


def named(variable: str, default: str = "", separator: str = ",") -> list[str]:
    """The words of an environment variable."""
    return [word.strip() for word in os.environ.get(variable, default).split(separator) if word.strip()]


FOLDERS = [Path(name).resolve() for name in named("K8SBOOTSTRAP_E2E_ARTIFACTS", separator=":")]
CASES = list(product(named("K8SBOOTSTRAP_E2E_VERSIONS"), RUNTIMES, named("K8SBOOTSTRAP_E2E_OS", "debian12")))


def missing(version: str, runtime: str) -> list[str]:
    """What of a release is in none of the folders, nor in a cache, as NAME/VERSION/ARCH."""
    wanted = release(version, ARCH, runtime)
    files = [*wanted.binaries.values(), *wanted.cni_plugins.values()]
    cached = cache_dir() / "artifacts"

    def is_there(key: str) -> bool:
        if any((folder / key).exists() for folder in (*FOLDERS, artifacts.directory())):
            return True
        return any((cached / key).parent.glob(f"{Path(key).name}@*"))

    return sorted({str(Path(file.key).parent) for file in files if not is_there(file.key)})


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    version, runtime, system = request.param
    absent = missing(version, runtime)
    if absent:
        where = ", ".join(map(str, [*FOLDERS, artifacts.directory(), cache_dir() / "artifacts"]))
        pytest.skip(f"Kubernetes {version} is not there: {', '.join(absent)} of it not whole in {where}")
    options = ["--masters", "1", "--workers", "1", "--os", system]
    options += ["--kubernetes-version", version, "--runtime", runtime]
    for folder in FOLDERS:
        options += ["--artifacts", str(folder)]
    yield from make_lab(tmp_path_factory.mktemp("release"), *options)


@pytest.fixture(scope="module")
def bare(lab: Lab) -> dict[str, dict[str, list[str]]]:
    """What the hosts are like before anything is installed."""
    return {name: snapshot(lab, name) for name in lab.hosts}


@pytest.fixture(scope="module")
def installed(lab: Lab, bare: dict[str, dict[str, list[str]]]) -> Lab:
    """A lab whose `up` went well once."""
    assert bare["worker1"]["units"]
    lab.k("up")
    return lab


def test_up(installed: Lab) -> None:
    version = installed.config["kubernetes"]["version"]
    nodes = installed.kubectl("get nodes --no-headers").splitlines()
    assert [line.split()[1] for line in nodes] == ["Ready", "Ready"]
    assert all(line.split()[-1].startswith(f"v{version}") for line in nodes)


def test_verify(installed: Lab) -> None:
    installed.k("verify")


def test_up_again_changes_nothing(installed: Lab) -> None:
    assert "Nothing to change: 2 hosts, 0 changed." in installed.k("up").stdout
    assert all(host["changed"] == 0 for host in summary(installed)["hosts"].values())


def services(lab: Lab, name: str) -> dict[str, bool]:
    """Which kinds of rules a host has for Services."""
    script = "iptables-save; echo; nft list tables"
    chains, _, tables = lab.sh(name, script).rpartition("\n\n")
    return {"iptables": "-j KUBE-SVC-" in chains, "nftables": "table ip kube-proxy" in tables.splitlines()}


def test_kube_proxy_changes_its_mode_and_leaves_nothing_of_the_other(installed: Lab) -> None:
    minor = release(installed.config["kubernetes"]["version"], ARCH, "containerd").minor
    if "nftables" not in minor.kube_proxy_modes:
        pytest.skip(f"kube-proxy of Kubernetes {minor.minor} has no nftables")

    def nftables(config: dict[str, Any]) -> None:
        config["network"] = {"kubeProxyMode": "nftables"}

    changed = installed.variant("nftables.yaml", nftables)
    installed.k("up", file=changed)
    installed.k("verify", file=changed)
    assert "Nothing to change" in installed.k("up", file=changed).stdout
    for name in installed.hosts:
        assert services(installed, name) == {"iptables": False, "nftables": True}, name
    installed.k("up")
    installed.k("verify")
    for name in installed.hosts:
        assert services(installed, name) == {"iptables": True, "nftables": False}, name
    installed.k("up", file=changed)


def test_reset_leaves_hosts_as_they_were(installed: Lab, bare: dict[str, dict[str, list[str]]]) -> None:
    """Also the rules of kube-proxy, whichever mode it is in."""
    installed.k("reset", "--yes")
    for name in installed.hosts:
        assert differences(bare[name], snapshot(installed, name)) == {}
