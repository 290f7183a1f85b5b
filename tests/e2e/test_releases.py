"""Any release, with any runtime: up, verify, up again, kube-proxy's modes.

Which ones is said by the environment: see at_hand.py. ``--durations=0`` shows how long each step took.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from at_hand import ARCH, ARTIFACTS, FOLDERS, named
from clusters import RELEASE
from labs import Lab, make_lab, summary, wait_for
from snapshot import differences, snapshot

from k8sbootstrap.catalog.resolve import release
from k8sbootstrap.checks.cis.reasons import reasons
from k8sbootstrap.run.playbook import plugin_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.e2e

CASES = list(
    product(
        named("VERSIONS", RELEASE.version), named("RUNTIMES", RELEASE.runtime), named("OS", RELEASE.system)
    )
)


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    version, runtime, system = request.param
    cluster = replace(RELEASE, version=version, runtime=runtime, system=system)
    yield from make_lab(tmp_path_factory.mktemp("release"), *cluster.options, *ARTIFACTS)


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
    assert [line.split()[1] for line in nodes] == ["Ready"] * len(installed.hosts)
    assert all(line.split()[-1].startswith(f"v{version}") for line in nodes)


def test_verify(installed: Lab) -> None:
    installed.k("verify")


OURS = {f"namespace/{name}" for name in ("default", "kube-node-lease", "kube-public", "kube-system")}
JUDGED = {
    "master1": {"1.1.1", "1.1.7", "1.1.12", "1.2.15", "1.2.29", "1.3.2", "1.4.1", "2.1", "3.2.1", "5.1.2"},
    "worker1": {"4.1.1", "4.1.9", "4.2.1", "4.2.13", "4.2.14", "4.3.1"},
}
"""Controls of each part of the benchmark."""


def test_cis(installed: Lab) -> None:
    """No control fails, each warning has its reason in docs/cis.md, and a file with a wrong mode is found."""
    report = json.loads(installed.k("verify", "--cis", "-o", "json").stdout)
    print("kube-bench:", report["hosts"], report["seconds"], "s")  # noqa: T201
    assert report["ok"]
    assert [counts["FAIL"] for counts in report["hosts"].values()] == [0] * len(installed.hosts)
    by_status: dict[str, set[tuple[str, str]]] = {}
    for result in report["results"]:
        by_status.setdefault(result["status"], set()).add((result["host"], result["check"]))
    assert {(host, name) for host, names in JUDGED.items() for name in names} <= by_status["PASS"]
    needs_jq = {name for name, reason in reasons().items() if reason.startswith("(jq)")}
    assert {name for _, name in by_status["WARN"]} <= reasons().keys() - needs_jq
    assert {name for _, name in by_status["not run"]} == needs_jq

    unit = "/etc/systemd/system/kubelet.service"
    installed.sh("worker1", f"chmod 644 {unit}")
    said = installed.k("verify", "--cis", code=6)
    assert "worker1: permissions=644" in said.stdout
    assert "does not meet the CIS benchmark: 4.1.1 (worker1)" in said.stderr
    installed.sh("worker1", f"chmod 600 {unit}")


def test_up_again_changes_nothing(installed: Lab) -> None:
    assert "Nothing to change: 3 hosts, 0 changed." in installed.k("up").stdout
    assert all(host["changed"] == 0 for host in summary(installed)["hosts"].values())


def test_conformance(installed: Lab) -> None:
    """A part of upstream's tests: each line of conformance.txt chooses some, and all pass."""
    chosen = (Path(__file__).parent / "conformance.txt").read_text().splitlines()
    ran = installed.k("verify", "--conformance", "--focus", "|".join(chosen), "-o", "json")
    report = json.loads(ran.stdout)
    print("Conformance:", report["counts"], report["seconds"], "s")  # noqa: T201
    assert report["counts"] == {**dict.fromkeys(report["counts"], 0), "passed": len(report["results"])}
    for pattern in chosen:
        assert [each for each in report["results"] if re.search(pattern, each["title"])], pattern
    wait_for(
        lambda: set(installed.kubectl("get namespaces -o name").split()) <= OURS, 120, "namespaces to go"
    )
    assert installed.sh("master1", "ls -d /run/k8sbootstrap-conformance 2>/dev/null || true") == ""
    page = installed.k("report", "--output", "-").stdout
    assert f"{len(report['results'])} passed" in page


def test_conformance_that_is_stopped_leaves_nothing(installed: Lab) -> None:
    """Neither Ctrl-C nor a second run does harm."""
    running = installed.start("verify", "--conformance", "--focus", "Probing container should .not. be")
    wait_for(lambda: "probe" in installed.kubectl("get namespaces -o name"), 120, "tests to make namespaces")
    refused = installed.k("verify", "--conformance", "--focus", "DNS", code=6)
    assert "these tests are being run there already" in refused.stderr
    running.send_signal(signal.SIGINT)
    said, _ = running.communicate(timeout=180)
    assert running.returncode == 130, said
    assert installed.sh("master1", "systemctl is-active k8sbootstrap-conformance", code=None) == "inactive\n"
    wait_for(
        lambda: set(installed.kubectl("get namespaces -o name").split()) <= OURS, 120, "namespaces to go"
    )
    installed.k("verify")


def services(lab: Lab, name: str) -> dict[str, bool]:
    """Which kinds of rules a host has for Services."""
    script = "iptables-save; echo; nft list tables"
    chains, _, tables = lab.sh(name, script).rpartition("\n\n")
    return {"iptables": "-j KUBE-SVC-" in chains, "nftables": "table ip kube-proxy" in tables.splitlines()}


def test_kube_proxy_changes_its_mode_and_leaves_nothing_of_the_other(installed: Lab) -> None:
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


@pytest.mark.parametrize("plugin", ["calico", "cilium"])
def test_the_api_server_takes_the_objects_of_a_pod_network(installed: Lab, plugin: str) -> None:
    """Applied as `up` does, twice; their pods, whose images are not here, are not waited for."""
    found = release(installed.config["kubernetes"]["version"], ARCH, "containerd").pod_networks.get(plugin)
    if found is None or not any((folder / found.manifest.key).exists() for folder in FOLDERS):
        pytest.skip(f"{plugin} is not there, or not for this release")
    file = installed.variant(f"{plugin}.yaml", lambda config: config.update(network={"plugin": plugin}))
    folder = installed.directory / plugin
    installed.k("render", "--output", str(folder), file=file)
    groups = json.loads((installed.state / "addons.json").read_text())
    assert groups[0]["name"] == "pod-network"
    (folder / "groups.json").write_text(json.dumps([group | {"wait": False} for group in groups]))
    task = {
        "kube_addons": {
            "component": "addons",
            "groups": "{{ lookup('ansible.builtin.file', 'groups.json') }}",
        }
    }
    play = {"hosts": "master1", "gather_facts": False, "tasks": [task]}
    (folder / "play.yml").write_text(json.dumps([play]))
    assert applied(folder) > 0
    assert applied(folder) == 0
    pods = "get daemonsets -A -o jsonpath={.items[*].status.desiredNumberScheduled}"
    assert "2" in installed.kubectl(pods).split()


def applied(folder: Path) -> int:
    """How many hosts the play of that folder changed."""
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(folder / "hosts.yml")]
    command.append(str(folder / "play.yml"))
    environment = {**os.environ, **plugin_settings(), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return int(re.findall(r"changed=(\d+)", done.stdout)[0])


def test_reset_leaves_hosts_as_they_were(installed: Lab, bare: dict[str, dict[str, list[str]]]) -> None:
    """Also the rules of kube-proxy, whichever mode it is in."""
    installed.k("reset", "--yes")
    for name in installed.hosts:
        assert differences(bare[name], snapshot(installed, name)) == {}


def test_flannel(lab: Lab, bare: dict[str, dict[str, list[str]]]) -> None:
    """Its own manifest, with an artifact directory's images: another backend later, no other pod network."""
    flannel = release(lab.config["kubernetes"]["version"], ARCH, "containerd").pod_networks["flannel"]
    wanted = [flannel.manifest.key, *(image.artifact.key for image in flannel.images)]
    absent = [key for key in wanted if not any((folder / key).exists() for folder in FOLDERS)]
    if absent:
        pytest.skip(f"flannel is not there: no {', '.join(absent)} in {', '.join(map(str, FOLDERS))}")

    def plugin(settings: dict[str, Any]) -> Path:
        network = {"plugin": "flannel", "flannel": settings}
        return lab.variant("flannel.yaml", lambda config: config.update(network=network))

    for settings, way in (({}, "dev flannel.1"), ({"backend": "host-gw"}, f"via {lab.address('worker1')}")):
        file = plugin(settings)
        lab.k("up", file=file)
        lab.k("verify", file=file)
        assert "Nothing to change" in lab.k("up", file=file).stdout
        assert way in lab.sh("master1", "ip -4 route show root 10.244.0.0/16")
    assert "its pod network is flannel" in lab.k("up", code=4).stderr
    lab.k("reset", "--yes", file=file)
    for name in lab.hosts:
        assert differences(bare[name], snapshot(lab, name)) == {}
