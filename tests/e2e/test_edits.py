"""Edits of cluster.yaml and accidents on a running cluster: what would break it is refused, unharmed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from labs import REPOSITORY, Lab, make_lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.e2e

RUNNING = ("master1", "worker1", "worker2")
"""Hosts of the cluster; master2 and master3 stay bare."""
WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      topologySpreadConstraints:
      - maxSkew: 1
        topologyKey: kubernetes.io/hostname
        whenUnsatisfiable: DoNotSchedule
        labelSelector: {matchLabels: {app: web}}
      containers:
      - {name: web, image: "docker.io/library/busybox:1.35.0", command: [httpd, -f]}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A running cluster of three hosts with a workload, and two bare hosts beside it."""
    for lab in make_lab(tmp_path_factory.mktemp("edits"), "--masters", "3", "--workers", "2"):
        lab.k("up", file=small(lab))
        lab.kubectl(f"apply -f - <<'END'\n{WEB}END")
        lab.kubectl("rollout status deployment/web --timeout=120s")
        yield lab


def small(lab: Lab, name: str = "small.yaml", change: Callable[[dict[str, Any]], None] | None = None) -> Path:
    """cluster.yaml of the hosts that run, changed."""

    def cut(config: dict[str, Any]) -> None:
        config["hosts"] = [host for host in config["hosts"] if host["name"] in RUNNING]
        if change:
            change(config)

    return lab.variant(name, cut)


def state(lab: Lab, hosts: tuple[str, ...] = RUNNING) -> dict[str, Any]:
    """What must not change: objects, pods with their restarts, and when services were started."""
    kinds = "nodes,services,deployments,daemonsets,serviceaccounts,configmaps,pods"
    found = json.loads(lab.kubectl(f"get {kinds} -A -o json"))["items"]
    objects = {}
    for item in found:
        statuses = item.get("status", {}).get("containerStatuses", ())
        restarts = [status["restartCount"] for status in statuses]
        objects[item["metadata"]["uid"]] = (item["kind"], item["metadata"]["name"], restarts)
    units = (
        "systemctl show -p Id,ActiveState,ExecMainStartTimestamp etcd 'kube*.service' 'k8s*.service' docker"
    )
    record = "cat /var/lib/k8sbootstrap/record.json"
    return {"objects": objects, **{name: lab.sh(name, f"{units}; {record}") for name in hosts}}


def edit_network(**settings: Any) -> Callable[[dict[str, Any]], None]:
    return lambda config: config.setdefault("network", {}).update(settings)


def edit_host(name: str, **settings: Any) -> Callable[[dict[str, Any]], None]:
    def change(config: dict[str, Any]) -> None:
        next(host for host in config["hosts"] if host["name"] == name).update(settings)

    return change


def edit_args(**flags: str) -> Callable[[dict[str, Any]], None]:
    args = {name.replace("_", "-"): value for name, value in flags.items()}
    return lambda config: config["kubernetes"].update(extraArgs={"kube-apiserver": args})


def another_address(lab: Lab) -> str:
    return lab.address("master1").rpartition(".")[0] + ".99"


REFUSED: dict[str, tuple[Callable[[Lab], Callable[[dict[str, Any]], None]], str]] = {
    "serviceCIDR": (
        lambda _: edit_network(serviceCIDR="10.112.0.0/16"),
        "Services have addresses in 10.96.0.0/16",
    ),
    "dnsDomain": (lambda _: edit_network(dnsDomain="k8s.example.com"), "the DNS domain is cluster.local"),
    "mask": (lambda _: edit_network(nodeCIDRMaskSize=25), "nodes have ranges of pods of size /24"),
    "podCIDR": (lambda _: edit_network(podCIDR="10.8.0.0/16"), "its pods are in 10.244.0.0/16"),
    "plugin": (lambda _: edit_network(plugin="flannel"), "its pod network is routed"),
    "issuer": (
        lambda _: edit_args(service_account_issuer="https://issuer.example.com"),
        "service accounts' tokens are issued by https://kubernetes.default.svc.cluster.local",
    ),
    "runtime": (
        lambda _: lambda config: config["runtime"].update(name="containerd"),
        "its containers run in docker",
    ),
    "renamed worker": (
        lambda _: edit_host("worker1", name="node-a"),
        "node-a: this host is the node worker1",
    ),
    "renamed master": (lambda _: edit_host("master1", name="head"), "head: this host is the node master1"),
    "address": (
        lambda lab: edit_host("master1", privateAddress=another_address(lab)),
        "etcd's member master1 is at",
    ),
    "role": (lambda _: edit_host("worker1", roles=["master"]), "worker1 is a worker"),
}


def test_what_cannot_be_changed_is_refused(lab: Lab) -> None:
    """Each by plan and up with the same words, and nothing is changed, on hosts or on this machine."""
    before = state(lab)
    issued = {path: path.read_bytes() for path in (lab.state / "pki").rglob("*") if path.is_file()}
    for number, (name, (change, words)) in enumerate(REFUSED.items()):
        file = small(lab, f"edit-{number}.yaml", change(lab))
        lab.k("validate", file=file)
        said = [lab.k(command, file=file, code=4).stderr for command in ("plan", "up")]
        assert words in said[0], name
        assert "Nothing was changed." in said[0], name
        assert _refusal(said[0]) == _refusal(said[1]), name
    assert state(lab) == before
    assert {path: path.read_bytes() for path in (lab.state / "pki").rglob("*") if path.is_file()} == issued
    assert "Nothing to change" in lab.k("up", file=small(lab)).stdout


def _refusal(said: str) -> str:
    return said[said.index("error:") :] if "error:" in said else said.partition("Nothing was changed")[0]


def test_a_plain_playbook_is_refused_by_the_hosts(lab: Lab) -> None:
    before = state(lab)
    file = small(lab, "plain.yaml", edit_network(serviceCIDR="10.112.0.0/16"))
    lab.k("render", "--output", "plain", file=file)
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "plain"]
    done = subprocess.run(
        [*command, str(REPOSITORY / "playbooks/site.yml")],
        cwd=lab.directory,
        env=dict(os.environ, ANSIBLE_ROLES_PATH=str(REPOSITORY / "roles"), ANSIBLE_NOCOLOR="1"),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode != 0, done.stdout
    for name in RUNNING:
        assert f"fatal: [{name}]" in done.stdout
    assert "Services have addresses in 10.96.0.0/16, and the inventory says" in done.stdout
    assert "Nothing was changed here." in done.stdout
    assert state(lab) == before
    lab.k("up", file=small(lab))  # render has issued certificates for the other range


def test_a_label_that_is_new_in_cluster_yaml_is_not_drift(lab: Lab) -> None:
    file = small(lab, "label.yaml", edit_host("worker1", labels={"disk": "ssd"}))
    hosts = json.loads(lab.k("plan", "-o", "json", file=file).stdout)["hosts"]
    changes = [(change["name"], change["causes"]) for host in hosts for change in host["changes"]]
    assert changes == [("worker1", ["configuration"])]
    shown = lab.k("plan", file=file)
    assert "(cluster.yaml or k8sbootstrap changed)" in shown.stdout
    assert "changed on the host" not in shown.stdout + shown.stderr
