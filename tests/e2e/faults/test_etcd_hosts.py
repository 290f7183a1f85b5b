"""etcd on hosts of its own: members come and go, it gets full, and it is rebuilt. ``make e2e-faults``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyrage
import pytest
from clusters import ETCD_HOSTS
from labs import Lab, make_lab, wait_for
from load import KUBELET_CLIENT, load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.e2e

ETCDCTL = (
    "etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/etcd/pki/ca.crt "
    "--cert=/etc/etcd/pki/healthcheck-client.crt --key=/etc/etcd/pki/healthcheck-client.key"
)
NODE = "https://127.0.0.1:6443/api/v1/nodes/master1"
THREE = ("etcd1", "etcd2", "etcd3")
FIVE = (*THREE, "etcd4", "etcd5")
QUOTA = 30_000_000


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    for lab in make_lab(tmp_path_factory.mktemp("etcd-hosts"), *ETCD_HOSTS.options):
        lab.k("up", file=of(lab, THREE))
        yield lab


def of(lab: Lab, members: tuple[str, ...], quota: int = 0, hooks: tuple[dict[str, Any], ...] = ()) -> Path:
    """cluster.yaml with these hosts of etcd."""

    def change(config: dict[str, Any]) -> None:
        config["hosts"] = [
            host for host in config["hosts"] if host["name"] in members or "etcd" not in host["roles"]
        ]
        if quota:
            config["kubernetes"]["extraArgs"] = {"etcd": {"quota-backend-bytes": str(quota)}}
        if hooks:
            config["hooks"] = list(hooks)

    return lab.variant(f"{'-'.join(members)}-{quota}-{len(hooks)}.yaml", change)


def api_server(lab: Lab) -> tuple[str, set[str]]:
    """When the API server was started, and the hosts of etcd that it was started with."""
    show = "systemctl show -p ExecMainStartTimestampMonotonic -p MainPID --value kube-apiserver"
    pid, started = sorted(lab.sh("master1", show).split(), key=int)
    words = lab.sh("master1", f"tr '\\0' '\\n' < /proc/{pid}/cmdline").split()
    servers = next(word for word in words if word.startswith("--etcd-servers="))
    return started, {name for name in FIVE if f"//{lab.address(name)}:" in servers}


def voters(lab: Lab, on: str = "etcd3") -> set[str]:
    lines = lab.sh(on, f"{ETCDCTL} member list").splitlines()
    return {line.split(", ")[2] for line in lines if line.endswith("false")}


def is_ready(lab: Lab) -> bool:
    """Whether the API server takes a write, and says that it is ready."""
    kubectl = "timeout 10 kubectl --kubeconfig /etc/kubernetes/admin.conf"
    script = f"{kubectl} get --raw /readyz && {kubectl} annotate node master1 --overwrite at=$(date +%s%N)"
    return lab.sh("master1", f"{script} >/dev/null && echo yes || true", code=None).strip().endswith("yes")


def nothing_to_change(lab: Lab, file: Path) -> None:
    assert lab.k("plan", "--detailed-exitcode", file=file).stdout.endswith("Nothing to change.\n")


def test_members_are_added(lab: Lab) -> None:
    """No write is lost, and the API server runs on with the members that it was started with."""
    before, file = api_server(lab), of(lab, FIVE)
    assert before[1] == {*THREE}
    said = lab.k("plan", file=file).stdout
    assert "etcd4 and etcd5 join one after another" in said
    assert "change /etc/systemd/system/kube-apiserver.service" in said
    assert "restart kube-apiserver" not in said
    with load(lab, "writes", "master1", NODE, KUBELET_CLIENT, watch=True) as writes:
        lab.k("up", "--yes", file=file)
        counted = writes.end()
    assert (counted.lost, counted.again) == ([], 0)
    assert voters(lab) == {*FIVE}
    assert api_server(lab) == before
    nothing_to_change(lab, file)
    lab.k("verify", file=file)


def test_the_api_lives_as_long_as_etcd(lab: Lab) -> None:
    """Two of five members are lost, and the API server knows but one of the others."""
    lab.k("lab", "stop", "etcd1", "etcd2")
    try:
        wait_for(lambda: is_ready(lab), 60, "the API server goes on with etcd3")
        assert all(is_ready(lab) for _ in range(20))
    finally:
        lab.k("lab", "start", "etcd1", "etcd2")
    wait_for(lambda: healthy(lab) == len(FIVE), 60, "all members are back")


def healthy(lab: Lab) -> int:
    said = lab.sh("etcd3", f"{ETCDCTL} endpoint health --cluster 2>&1", code=None)
    return said.count("is healthy")


def test_members_are_removed(lab: Lab) -> None:
    """One that is well, one that is dead, and two of those that the API server knows."""
    before = api_server(lab)
    lab.k("remove", "etcd5", "--yes", file=of(lab, FIVE))
    lab.k("lab", "stop", "etcd4")
    lab.k("remove", "etcd4", "--dead", "--yes", file=of(lab, FIVE))
    nothing_to_change(lab, of(lab, THREE))
    lab.k("remove", "etcd1", "--yes", file=of(lab, THREE))
    lab.k("remove", "etcd2", "--yes", file=of(lab, THREE))
    assert voters(lab) == {"etcd3"}
    assert api_server(lab) == before
    nothing_to_change(lab, of(lab, ("etcd3",)))
    lab.k("verify", file=of(lab, ("etcd3",)))
    lab.k("lab", "start", "etcd4")
    lab.k("remove", "etcd4", "--yes", "--accept-new-host-keys", file=of(lab, FIVE))


def test_an_api_server_that_knows_too_few_members_restarts(lab: Lab) -> None:
    """Of etcd3, etcd4 and etcd5 it knows one, and they have a quorum without it."""
    wanted = ("etcd3", "etcd4", "etcd5")
    before, file = api_server(lab), of(lab, wanted)
    assert "restart kube-apiserver.service" in lab.k("plan", file=file).stdout
    lab.k("up", "--yes", file=file)
    started, known = api_server(lab)
    assert started != before[0]
    assert known == {*wanted}
    nothing_to_change(lab, file)


def test_a_full_etcd_gets_a_larger_quota(lab: Lab) -> None:
    members = ("etcd3", "etcd4", "etcd5")
    fill(lab, members)
    file = of(lab, members, 10 * QUOTA)
    lab.k("etcd", "snapshot", file=file)
    said = lab.k("up", "--yes", file=file, code=6)
    assert "Run: k8sbootstrap etcd defrag" in said.stderr + said.stdout
    for name in members:
        assert f"--quota-backend-bytes={10 * QUOTA}" in lab.sh(
            name, "tr '\\0' ' ' < /proc/$(pgrep -x etcd)/cmdline"
        )
    assert "3 members: " in lab.k("etcd", "defrag", file=file).stdout
    assert is_ready(lab)
    lab.k("verify", file=file)
    nothing_to_change(lab, file)


def fill(lab: Lab, members: tuple[str, ...]) -> None:
    """Write until etcd takes no more."""
    file = of(lab, members, QUOTA)
    lab.k("up", "--yes", file=file)
    put = f"head -c 900000 /dev/urandom | base64 -w 0 | {ETCDCTL} put /filling"
    lab.sh("etcd3", f"for n in $(seq 200); do {put} >/dev/null 2>&1 || exit 0; done; exit 1")
    found = json.loads(lab.k("doctor", "-o", "json", file=file, code=6).stdout)
    assert "etcd-no-space" in json.dumps(found)
    said = lab.k("etcd", "status", file=file, code=6)
    assert f"Quorum: {len(members)} of {len(members)} members healthy" in said.stdout
    assert not is_ready(lab)


def test_two_full_members_are_defragmented(lab: Lab) -> None:
    lab.k("remove", "etcd5", "--yes", file=of(lab, ("etcd3", "etcd4", "etcd5"), 10 * QUOTA))
    members = ("etcd3", "etcd4")
    file = of(lab, members, QUOTA)
    assert (
        "would lose its quorum" in lab.k("etcd", "defrag", file=of(lab, members, 10 * QUOTA), code=4).stderr
    )
    fill(lab, members)
    said = lab.k("etcd", "defrag", file=file).stdout
    assert "takes no writes anyway" in said
    assert "2 members: " in said
    lab.k("verify", file=file)
    lab.k("up", "--yes", file=of(lab, members))


def test_a_snapshot_is_restored(lab: Lab) -> None:
    """On members that have lost their data, and back to an earlier state."""
    members = ("etcd3", "etcd4")
    file = of(lab, members)
    lab.kubectl("create namespace before")
    lab.k("etcd", "snapshot", file=file)
    lab.kubectl("create namespace later")
    for name in members:
        lab.sh(name, "systemctl stop etcd; rm -r /var/lib/etcd/member")
    assert "k8sbootstrap etcd restore --newest" in lab.k("plan", file=file, code=4).stderr
    lab.k("etcd", "restore", "--newest", "--yes", file=file)
    names = lab.kubectl("get namespaces -o name").split()
    assert "namespace/before" in names
    assert "namespace/later" not in names
    lab.k("up", "--yes", file=file)
    nothing_to_change(lab, file)


def test_a_survivor_is_enough(lab: Lab) -> None:
    file = of(lab, ("etcd3", "etcd4"))
    lab.k("lab", "stop", "etcd4")
    lab.k("etcd", "recover", "--survivor", "etcd3", "--yes", file=file)
    lab.k("remove", "etcd4", "--dead", "--yes", file=file)
    lab.k("lab", "start", "etcd4")
    lab.k("remove", "etcd4", "--yes", "--accept-new-host-keys", file=of(lab, ("etcd3", "etcd4", "etcd5")))
    nothing_to_change(lab, of(lab, ("etcd3",)))
    assert "namespace/before" in lab.kubectl("get namespaces -o name").split()


def test_a_backup_is_restored(lab: Lab, tmp_path: Path) -> None:
    """On three empty hosts of etcd instead of the one that there was; hooks run once."""
    identity = pyrage.x25519.Identity.generate()
    key, backup, heard = tmp_path / "key", tmp_path / "lab.backup", tmp_path / "heard"
    key.write_text(str(identity))
    old = of(lab, ("etcd3",))
    lab.k("backup", "create", str(backup), "--recipient", str(identity.to_public()), file=old)
    lab.k("reset", "--yes", file=old)
    tell = tmp_path / "tell"
    tell.write_text(f'#!/bin/sh\necho "$K8SBOOTSTRAP_EVENT $K8SBOOTSTRAP_PHASE" >> {heard}\n')
    tell.chmod(0o755)
    phases = ["host", "etcd", "control_plane"]
    hooks = ({"command": [str(tell)], "before": phases, "after": phases},)
    file = of(lab, THREE, hooks=hooks)
    lab.k("up", "--restore", str(backup), "--identity", str(key), "--yes", file=file, timeout=1800)
    lines = heard.read_text().splitlines()
    assert sorted(lines) == sorted(f"{when} {phase}" for phase in phases for when in ("before", "after"))
    assert lines.index("before etcd") < lines.index("after etcd") < lines.index("after control_plane")
    assert voters(lab) == {*THREE}
    assert "namespace/before" in lab.kubectl("get namespaces -o name").split()
    assert api_server(lab)[1] == {*THREE}
    nothing_to_change(lab, file)
    lab.k("verify", file=file)
