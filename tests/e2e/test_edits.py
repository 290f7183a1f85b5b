"""Edits of cluster.yaml and accidents on a running cluster: what would break it is refused, unharmed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from clusters import EDITS
from labs import Lab, make_lab, playbook, wait_for
from load import KUBELET_CLIENT, load
from observed import ETCDCTL, etcd_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.e2e

API = "https://127.0.0.1:6443/api/v1/nodes"
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
    for lab in make_lab(tmp_path_factory.mktemp("edits"), *EDITS.options):
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


def edit_host(name: str, /, **settings: Any) -> Callable[[dict[str, Any]], None]:
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
    "mask": (lambda _: edit_network(nodeCIDRMaskSize=25), "each node has a /24 range for pods"),
    "podCIDR": (lambda _: edit_network(podCIDR="10.8.0.0/16"), "its pods are in 10.244.0.0/16"),
    "plugin": (lambda _: edit_network(plugin="flannel"), "its pod network is routed"),
    "issuer": (
        lambda _: edit_args(service_account_issuer="https://issuer.example.com"),
        "the issuer of service account tokens is https://kubernetes.default.svc.cluster.local",
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
        "etcd's member master1 has the address",
    ),
    "role": (
        lambda _: (
            lambda config: [
                host.update(roles=["master" if host["name"] == "worker1" else "worker"])
                for host in config["hosts"]
            ]
        ),
        "master1 is a master",
    ),
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
    """What is said after the progress, which has times in it."""
    return "\n".join(line for line in said.splitlines() if not line.startswith("["))


def test_a_plain_playbook_is_refused_by_the_hosts(lab: Lab) -> None:
    before = state(lab)
    file = small(lab, "plain.yaml", edit_network(serviceCIDR="10.112.0.0/16"))
    done = playbook(lab, "site.yml", file=file)
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


def reach_each_other(lab: Lab) -> bool:
    """Whether the workload runs on both workers, and each pod answers the other's ping."""
    found = json.loads(lab.kubectl("get pods -l app=web -o json"))["items"]
    addresses = {pod["metadata"]["name"]: pod["status"].get("podIP", "") for pod in found}
    nodes = {pod["spec"]["nodeName"] for pod in found}
    if nodes != {"worker1", "worker2"} or not all(addresses.values()):
        return False
    exec_ = "kubectl --kubeconfig /etc/kubernetes/admin.conf exec"
    tries = " && ".join(
        f"{exec_} {name} -- ping -c 1 -W 3 {other}"
        for name, own in addresses.items()
        for other in addresses.values()
        if other != own
    )
    return lab.sh("master1", f"({tries}) >/dev/null 2>&1 && echo yes || true").strip() == "yes"


def test_a_host_taken_out_stays_a_node(lab: Lab) -> None:
    def without(config: dict[str, Any]) -> None:
        config["hosts"] = [host for host in config["hosts"] if host["name"] != "worker2"]

    file = small(lab, "without.yaml", without)
    before = state(lab)
    routes = {name: lab.sh(name, "ip route show proto 75") for name in RUNNING}
    planned = json.loads(lab.k("plan", "-o", "json", file=file).stdout)
    assert (planned["changes"], planned["unplannedNodes"]) == (0, ["worker2"])
    for command in ("plan", "up"):
        assert "is a node of the cluster, but not in cluster.yaml" in lab.k(command, file=file).stdout
    assert "not in cluster.yaml" in lab.k("status", file=file).stdout
    seen = json.loads(lab.k("verify", "-o", "json", file=file).stdout)["results"]
    assert [each["status"] for each in seen if each["host"] == "worker2"] == ["skipped"]
    assert {name: lab.sh(name, "ip route show proto 75") for name in RUNNING} == routes
    assert state(lab) == before
    assert reach_each_other(lab)


def test_a_deleted_node_comes_back(lab: Lab) -> None:
    """It gets another range; pods there get new addresses, and reach the others."""
    file = small(lab)
    for node, script in (("worker1", "true"), ("worker2", "systemctl stop kubelet"), ("master1", "true")):
        before = lab.kubectl(f"get node {node} -o jsonpath={{.spec.podCIDR}}")
        lab.sh(node, script)
        lab.kubectl(f"delete node {node}")
        assert node in lab.k("plan", file=file).stdout
        lab.k("up", file=file)
        assert lab.kubectl(f"get node {node} -o jsonpath={{.spec.podCIDR}}") != before
        wait_for(lambda: reach_each_other(lab), 90, "pods to reach each other")
        assert "Nothing to change" in lab.k("up", file=file).stdout
    lab.k("verify", file=file)


def roles(**wanted: list[str]) -> Callable[[dict[str, Any]], None]:
    """Leaves only these hosts in cluster.yaml, with these roles."""

    def change(config: dict[str, Any]) -> None:
        config["hosts"] = [
            host | {"roles": wanted[host["name"]]} for host in config["hosts"] if host["name"] in wanted
        ]

    return change


MASTER, WORKER, BOTH = ["master"], ["worker"], ["master", "worker"]
OTHER_MEMBERS = {
    "etcd on a host of its own": (
        roles(master1=MASTER, master2=["etcd"], worker1=WORKER, worker2=WORKER),
        "puts etcd on master2: these would start a new, empty cluster",
        "master2",
    ),
}


def etcd(lab: Lab) -> list[str]:
    """The members of etcd, and what other hosts have of it."""
    others = "pgrep -x etcd; ls -d /var/lib/etcd /usr/local/bin/etcd 2>/dev/null"
    hosts = ("master2", "master3", "worker1", "worker2")
    return [lab.sh("master1", f"{ETCDCTL} member list"), *(lab.sh(name, others, code=None) for name in hosts)]


@pytest.mark.parametrize("edit", OTHER_MEMBERS)
def test_other_members_of_etcd_are_refused(lab: Lab, edit: str) -> None:
    change, text, limit = OTHER_MEMBERS[edit]
    file = lab.variant("members.yaml", change)
    before, members = running(lab), etcd(lab)
    assert members[1:] == ["", "", "", ""]
    for command in ("plan", "up"):
        said = lab.k(command, file=file, code=4).stderr
        assert text in said
        assert "the same command again" not in said
    assert text in plain_refusal(lab, file)
    if limit:
        unknown = "master1 did not report whether there is etcd data: not reached, or left out"
        assert unknown in plain_refusal(lab, file, "--limit", limit)
    assert running(lab) == before
    assert etcd(lab) == members


def running(lab: Lab) -> dict[str, Any]:
    """The same without the hosts' records: a plain playbook prepares hosts before it comes to etcd."""
    return {
        name: seen.partition("{")[0] if isinstance(seen, str) else seen for name, seen in state(lab).items()
    }


def plain_refusal(lab: Lab, file: Path, *options: str) -> str:
    """What a plain ansible-playbook of the rendered inventory says when it fails."""
    done = playbook(lab, "site.yml", *options, file=file)
    assert done.returncode != 0, done.stdout
    assert "Install and start etcd" not in done.stdout
    return done.stdout


def test_a_member_whose_data_is_gone_does_not_start(lab: Lab) -> None:
    """Neither at once nor after a boot; plan says what was lost, and with the data back all is as before."""
    file = small(lab)
    lab.k("up", file=file)  # rendering has issued certificates for others
    objects, members = state(lab)["objects"], etcd(lab)
    containers = {name: lab.sh(name, "docker ps -q --no-trunc") for name in ("worker1", "worker2")}
    assert all(containers.values())
    lab.sh("master1", "systemctl stop etcd; mv /var/lib/etcd/member /root/; systemctl start etcd", code=1)
    refuses_to_start(lab)
    for command in ("plan", "up"):
        said = lab.k(command, file=file, code=4).stderr
        assert "etcd's data is gone from master1 (/var/lib/etcd last changed " in said
        assert "Mount the disk if it is not mounted" in said
    assert "its data is gone from /var/lib/etcd" in lab.k("verify", file=file, code=6).stdout
    lab.k("lab", "stop", "--graceful", "master1")
    lab.k("lab", "start", "master1")
    is_failed = "systemctl is-failed etcd"
    wait_for(lambda: lab.sh("master1", is_failed, code=None) == "failed\n", 60, "etcd refuses to start")
    refuses_to_start(lab)
    assert "etcd's data is gone from master1" in lab.k("plan", file=file, code=4).stderr
    assert "etcd's data is gone from master1" in plain_refusal(lab, file)
    assert {name: lab.sh(name, "docker ps -q --no-trunc") for name in containers} == containers
    lab.sh("master1", "mv /root/member /var/lib/etcd/ && systemctl start etcd")
    lab.k("up", file=file)
    assert etcd(lab) == members
    pods = {uid for uid, (kind, *_) in objects.items() if kind == "Pod"}
    assert state(lab)["objects"].keys() >= pods
    assert {name: lab.sh(name, "docker ps -q --no-trunc") for name in containers} == containers


def refuses_to_start(lab: Lab) -> None:
    """etcd is down and stays so, has begun nothing, and says why once."""
    shown = lab.sh("master1", "systemctl show -p ActiveState -p NRestarts -p ExecMainStatus etcd")
    assert set(shown.split()) == {"ActiveState=failed", "NRestarts=0", "ExecMainStatus=78"}
    assert lab.sh("master1", "ls /var/lib/etcd; pgrep -x etcd", code=None) == ""
    said = lab.sh("master1", "journalctl -b -u etcd -p err -o cat")
    assert said.count("etcd does not start: its data belongs in /var/lib/etcd/member/wal") == 1
    assert "Is a disk not mounted there" in said


GROWN = roles(master1=MASTER, master2=MASTER, master3=MASTER, worker1=WORKER, worker2=WORKER)


def test_masters_are_added(lab: Lab) -> None:
    """Members join etcd one after another. No write is lost, and nothing restarts on other hosts."""
    grow(lab, GROWN)


def grow(lab: Lab, wanted: Callable[[dict[str, Any]], None], restarted: tuple[str, ...] = ()) -> None:
    file = lab.variant("grown.yaml", wanted)
    names = [host["name"] for host in yaml.safe_load(file.read_text())["hosts"]]
    before = {name: started(lab, name) for name in names if name not in restarted}
    said = lab.k("plan", file=file).stdout
    there = etcd_names(lab)
    after = masters(file)
    joining = " and ".join(name for name in after if name not in there)
    assert f"etcd: {joining} join one after another: {len(there)} member" in said
    with load(lab, "writes", "master1", f"{API}/master1", KUBELET_CLIENT, watch=True) as writes:
        lab.k("up", "--yes", file=file)
        counted = writes.end()
    print(counted)  # noqa: T201
    assert (counted.lost, counted.again) == ([], 0)
    assert etcd_names(lab) == set(after)
    for name, services in before.items():
        now = started(lab, name)
        assert {unit: now[unit] for unit in services if services[unit]} == {
            unit: when for unit, when in services.items() if when
        }, name
    lab.k("verify", file=file)
    assert "Nothing to change" in lab.k("up", file=file).stdout


def masters(file: Path) -> list[str]:
    return [host["name"] for host in yaml.safe_load(file.read_text())["hosts"] if "master" in host["roles"]]


def started(lab: Lab, name: str) -> dict[str, str]:
    """When each service of a host was started; empty for those that do not run."""
    units = "etcd 'kube*.service' docker cri-dockerd haproxy"
    shown = lab.sh(name, f"systemctl show -p Id -p ExecMainStartTimestamp {units}")
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in shown.split("\n\n")]
    return {block["Id"]: block["ExecMainStartTimestamp"] for block in blocks if "Id" in block}


BUDGET = """\
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec:
  minAvailable: 2
  selector: {matchLabels: {app: web}}
"""


def test_what_must_not_be_removed_stays(lab: Lab) -> None:
    """The last master, a host that answers as a dead one, and a node with pods that must not go."""
    lab.k("up", "--yes", file=lab.variant("grown.yaml", GROWN))
    hasty = lab.variant(
        "hasty.yaml", lambda config: (GROWN(config), config.update(upgrade={"drainTimeout": 5}))
    )
    lab.kubectl(f"apply -f - <<'END'\n{BUDGET}END")
    pods = "get pods -l app=web -o jsonpath={.items[*].metadata.uid}"
    before = lab.kubectl(pods)
    for names, code, text in (
        (["master1", "master2", "master3"], 4, "no master would stay"),
        (["master2", "--dead"], 4, "master2 answers: --dead is only for hosts that don't"),
        (["worker2"], 5, "is held by PodDisruptionBudget default/web"),
    ):
        assert text in lab.k("remove", *names, "--yes", file=hasty, code=code).stderr
    nodes = json.loads(lab.kubectl("get nodes -o json"))["items"]
    assert not [node for node in nodes if node["spec"].get("unschedulable")]
    assert lab.kubectl(pods) == before
    lab.kubectl("delete poddisruptionbudget web")


def test_hosts_are_removed_and_replaced(lab: Lab) -> None:
    """A dead master, which then comes back, a worker, and the first master, down to one.

    No write is lost, nothing restarts on hosts that stay, and an empty host takes the dead one's place.
    """
    file = lab.variant("grown.yaml", GROWN)
    stay = ("master3", "worker1")
    before = {name: started(lab, name) for name in stay}
    lab.k("lab", "stop", "master2")
    is_down = (
        "journalctl -u haproxy -o cat --no-pager -b | grep -q 'masters/master2 is DOWN' && echo down || true"
    )
    wait_for(lambda: lab.sh("worker1", is_down) == "down\n", 30, "haproxy sees that master2 is down")
    assert "if it is dead for good" in lab.k("remove", "master2", "--yes", file=file, code=4).stderr.lower()
    said = lab.k("remove", "master1", "--yes", file=file, code=4).stderr
    assert "etcd would lose its quorum without master1: of the 2 members that stay 1 would be healthy" in said
    assert "remove the dead first: k8sbootstrap remove master2 --dead" in said
    with load(lab, "writes", "worker1", f"{API}/worker1", KUBELET_CLIENT, watch=True) as writes:
        lab.k("remove", "master2", "--dead", "--yes", file=file)
        assert etcd_names(lab, "master3") == {"master1", "master3"}
        again = lab.k("remove", "master2", "--dead", "--yes", file=file).stdout
        assert "Nothing to do: master2 is not in the cluster." in again
        lab.k("lab", "start", "master2")
        lab.k("remove", "master2", "--yes", "--accept-new-host-keys", file=file)
        two = lab.variant("two.yaml", roles(master1=MASTER, master3=MASTER, worker1=WORKER, worker2=WORKER))
        assert "etcd has 2 members, an even number: 0 may fail" in lab.k("plan", file=two).stderr
        shrunk = lab.variant("shrunk.yaml", roles(master3=MASTER, worker1=WORKER))
        assert "k8sbootstrap remove master1, or up --prune" in lab.k("up", file=shrunk, code=4).stderr
        pruned = lab.k("up", "--prune", "--yes", file=shrunk).stdout
        counted = writes.end()
    gone = ("master2", "worker2", "master1")
    assert "master1, worker2." in pruned
    assert "Nothing to change" in pruned
    print(counted)  # noqa: T201
    assert counted.lost == []
    assert {name: started(lab, name) for name in stay} == before
    assert etcd_names(lab, "master3") == {"master3"}
    nodes = lab.kubectl("get nodes -o name", on="master3").split()
    assert nodes == [f"node/{name}" for name in stay]
    for name in gone:
        assert lab.sh(name, "ls -d /var/lib/k8sbootstrap /etc/kubernetes /var/lib/etcd", code=None) == ""
        assert not (lab.state / "pki/hosts" / name).exists()
    lab.k("up", "--yes", file=file)
    assert etcd_names(lab, "master3") == {"master1", "master2", "master3"}
    assert {name: started(lab, name) for name in stay} == before
    lab.k("verify", file=file)


def test_workers_become_masters(lab: Lab) -> None:
    wanted = roles(master1=MASTER, master2=MASTER, master3=MASTER, worker1=BOTH, worker2=BOTH)
    grow(lab, wanted, restarted=("worker1", "worker2"))
