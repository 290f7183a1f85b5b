"""Edits of cluster.yaml and accidents on a running cluster: what would break it is refused, unharmed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from clusters import EDITS
from labs import Lab, kill, make_lab, playbook, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.e2e

ETCDCTL = (
    "etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/etcd/pki/ca.crt "
    "--cert=/etc/etcd/pki/healthcheck-client.crt --key=/etc/etcd/pki/healthcheck-client.key"
)
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
        lambda _: lambda config: [host.update(roles=["master"]) for host in config["hosts"]],
        "worker1 is a worker",
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


MASTER, WORKER = ["master"], ["worker"]
OTHER_MEMBERS = {
    "one master becomes three": (
        roles(master1=MASTER, master2=MASTER, master3=MASTER, worker1=WORKER, worker2=WORKER),
        "adds master2 and master3: without the data of the others they would start a second, empty cluster",
        "master2,master3",
    ),
    "workers become masters": (
        roles(master1=MASTER, worker1=["master", "worker"], worker2=["master", "worker"]),
        "adds worker1 and worker2: without the data of the others they would start a second, empty cluster",
        "",
    ),
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


def test_a_killed_first_run_goes_on(lab: Lab) -> None:
    """With two of three members formed and the third never started, that one joins them."""
    lab.k("reset", "--yes", file=small(lab))
    lab.sh("master3", "mkdir -p /etc/systemd/system/etcd.service/in-the-way")
    process = lab.start("up")
    wait_for(lambda: formed(lab, "master1") and formed(lab, "master2"), 300, "two members form a cluster")
    kill(process)
    assert "master3, https://" in lab.sh("master1", f"{ETCDCTL} member list")
    assert lab.sh("master3", "ls /var/lib/etcd/member 2>/dev/null", code=None) == ""
    lab.sh("master3", "rm -r /etc/systemd/system/etcd.service")
    lab.k("up")
    lists = {lab.sh(name, f"{ETCDCTL} member list") for name in ("master1", "master2", "master3")}
    assert len(lists) == 1
    assert lists.pop().count(", started, ") == 3
    lab.k("verify")


def formed(lab: Lab, name: str) -> bool:
    return '"formed": true' in lab.sh(name, "cat /var/lib/k8sbootstrap/record.json", code=None)


def test_members_are_not_taken_out_and_stay_where_they_are(lab: Lab) -> None:
    said = lab.k("plan", file=small(lab), code=4).stderr
    for name in ("master2", "master3"):
        assert f"{name} ({lab.address(name)}) is a member of etcd, but no longer in cluster.yaml" in said
    file = lab.variant("moved.yaml", edit_host("master2", privateAddress=another_address(lab)))
    said = lab.k("plan", file=file, code=4).stderr
    assert f"etcd's member master2 has the address {lab.address('master2')}, but cluster.yaml says" in said


def test_one_of_three_members_loses_its_data(lab: Lab) -> None:
    """The others go on, an empty one does not take its place, and with the data back it is one of them."""
    lab.sh("master2", "systemctl stop etcd; mv /var/lib/etcd/member /root/; systemctl start etcd", code=1)
    said = lab.k("up", code=4).stderr
    assert "etcd's data is gone from master2" in said
    assert "the other members have a quorum, and the cluster works without it" in said
    lab.kubectl("get nodes")
    lab.sh("master2", "mv /root/member /var/lib/etcd/")
    lab.k("up")
    lab.k("verify")


NEW_DISK = """
systemctl stop etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy docker
for mount in $(awk '$2 ~ "^/var/lib/kubelet/" {print $2}' /proc/mounts); do umount -l $mount; done
rm -rf /var/lib/etcd /etc/etcd /etc/kubernetes /var/lib/kubelet /var/lib/k8sbootstrap \\
  /etc/systemd/system/etcd.service /etc/systemd/system/kube*.service /usr/local/bin/etcd* /usr/local/bin/kube*
systemctl daemon-reload
"""


def test_a_member_that_was_lost_is_made_anew_by_hand(lab: Lab) -> None:
    """The host under its name is empty: refused with the commands, and these are right."""
    lab.sh("master2", NEW_DISK)
    said = lab.k("up", code=4).stderr
    assert "master2 has no etcd data, but etcd has a member master2" in said
    lost = lab.sh("master1", f"{ETCDCTL} member list | grep master2 | cut -d, -f1").strip()
    add = f"etcdctl member add master2 --peer-urls=https://{lab.address('master2')}:2380"
    assert f"etcdctl member remove {lost}, then {add}" in said
    lab.sh("master1", f"{ETCDCTL} member remove {lost} && {add.replace('etcdctl', ETCDCTL, 1)}")
    lab.k("up", "--ignore-preflight", "leftovers")
    assert lab.sh("master2", f"{ETCDCTL} member list").count(", started, ") == 3
    lab.k("verify")
