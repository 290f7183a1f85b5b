"""Three masters and two workers, containerd on Debian 13: up, up again, losses, an upgrade, reset."""

from __future__ import annotations

import datetime as dt
import functools
import http.server
import json
import os
import shutil
import subprocess
import tarfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from breaks import (
    QUICK,
    Break,
    examine,
    expired_certificate,
    foreign_certificate,
    shown,
    try_break,
    wait_until_well,
)
from clusters import BEFORE, NEWEST, THREE_MASTERS
from expiry import leave, serials
from labs import Lab, kill, make_lab, summary, wait_for
from load import KUBELET_CLIENT, WEB, load, turned_away
from observed import service_starts
from snapshot import differences, snapshot

from k8sbootstrap.lab import model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

pytestmark = pytest.mark.e2e
API = "https://127.0.0.1:6443/api/v1/nodes"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    for made in make_lab(tmp_path_factory.mktemp("cluster"), *THREE_MASTERS.options):
        api = {"virtualIP": _in_network(made, 250)}
        made.variant(made.file.name, lambda config, api=api: config.update(api=api))
        for name in made.hosts:
            made.sh(name, PROXY_FOR_ALL)
        yield made


PROXY_FOR_ALL = """
    mkdir -p /etc/systemd/system.conf.d
    cat >/etc/systemd/system.conf.d/proxy.conf <<E
[Manager]
DefaultEnvironment=HTTPS_PROXY=http://192.0.2.1:3128
E
    systemctl daemon-reexec
"""
"""As in a company's image: systemd gives all services a proxy, which knows nothing of the cluster."""


def _in_network(lab: Lab, number: int) -> str:
    """An address of the hosts' network."""
    return f"{lab.address('master1').rpartition('.')[0]}.{number}"


@pytest.fixture(scope="module")
def bare(lab: Lab) -> dict[str, dict[str, list[str]]]:
    return {name: snapshot(lab, name) for name in lab.hosts}


def test_up(lab: Lab, bare: dict[str, dict[str, list[str]]]) -> None:
    assert set(bare) == {"master1", "master2", "master3", "worker1", "worker2"}
    lab.k("up")
    lab.k("verify", "--junit", "verify.xml")
    assert "<testsuite" in (lab.directory / "verify.xml").read_text()
    page = lab.k("report", "--output", "-").stdout
    assert "Succeeded" in page
    assert "The cluster works." in page


def test_up_again_changes_nothing(lab: Lab) -> None:
    said = lab.k("up").stdout
    assert "Nothing to change: 5 hosts, 0 changed." in said
    hosts = summary(lab)["hosts"]
    print("tasks per host on the second run:", {name: host["ok"] for name, host in hosts.items()})  # noqa: T201
    assert all(host["changed"] == 0 for host in hosts.values())


DRIFT = {
    "worker1": """
        sed -i 's/^RestartSec=.*/RestartSec=7/' /etc/systemd/system/kubelet.service
        rm /var/lib/kubelet/pki/kubelet-serving.crt
        sysctl -q -w net.ipv4.ip_forward=0
    """,
    "worker2": """
        systemctl stop haproxy
        apt-get remove -y -qq ethtool >/dev/null
        cp /bin/true /usr/local/bin/other && mv /usr/local/bin/other /usr/local/bin/kube-proxy
    """,
    "master3": """
        sed -i 's/^  fall .*/  fall 7/' /etc/keepalived/keepalived.conf
        systemctl stop keepalived
    """,
}
"""What somebody does to hosts."""
PUT_BACK = {
    "worker1": {
        ("host", "sysctl", "set", "net.ipv4.ip_forward", "drift"),
        ("kubelet", "file", "change", "/etc/systemd/system/kubelet.service", "drift"),
        ("kubelet", "file", "add", "/var/lib/kubelet/pki/kubelet-serving.crt", "drift"),
        ("kubelet", "unit", "restart", "kubelet.service", ""),
    },
    "worker2": {
        ("packages", "package", "install", "ethtool", "drift"),
        ("api_loadbalancer", "unit", "start", "haproxy.service", "drift"),
        ("kube_proxy", "file", "change", "/usr/local/bin/kube-proxy", "drift"),
        ("kube_proxy", "unit", "restart", "kube-proxy.service", ""),
    },
    "master3": {
        ("api_virtual_ip", "file", "change", "/etc/keepalived/keepalived.conf", "drift"),
        ("api_virtual_ip", "unit", "start", "keepalived.service", "drift"),
    },
}
FLAGGED = {
    ("kube_scheduler", "file", "change", "/etc/systemd/system/kube-scheduler.service", "configuration"),
    ("kube_scheduler", "unit", "restart", "kube-scheduler.service", ""),
}
EVERYTHING = """
    find /etc /opt /usr /root /home /tmp /var/tmp /var/lib/k8sbootstrap /var/lib/kubelet/pki -xdev \\
        \\( -type d -printf '%p %m %u %g\\n' -o -printf '%p %m %u %g %s %T@ %C@\\n' \\) | sort
    dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\\n'
    sysctl net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables
    systemctl show -p Id,ActiveState,ExecMainStartTimestamp etcd 'kube*' 'k8s*' containerd haproxy keepalived
    cat /etc/passwd /etc/group
"""
"""Shows all that a run could change on a host: files with the times of their last change, and the rest."""
LABELLED = ("node_settings", "node", "set", "worker2", "configuration")


def test_plan_is_true(lab: Lab) -> None:
    """plan names exactly what is to do and changes nothing; up does exactly that, and restarts no more."""
    assert lab.k("plan", "--detailed-exitcode").stdout == "Nothing to change.\n"
    original = lab.file.read_text()

    def edit(config: dict[str, Any]) -> None:
        config["kubernetes"]["extraArgs"] = {"kube-scheduler": {"v": "3"}}
        config["hosts"][-1]["labels"] = {"disk": "ssd"}
        config["hosts"][-1]["taints"] = [{"key": "example.com/busy", "effect": "PreferNoSchedule"}]

    edited = lab.variant("edited.yaml", edit)
    for name, script in DRIFT.items():
        lab.sh(name, script)
    hosts = {name: set(lab.sh(name, EVERYTHING).splitlines()) for name in lab.hosts}
    said = json.loads(lab.k("plan", "--detailed-exitcode", "-o", "json", file=edited, code=11).stdout)
    for name, before in hosts.items():
        assert set(lab.sh(name, EVERYTHING).splitlines()) ^ before == set(), name
    planned = {host["name"]: {_key(change) for change in host["changes"]} for host in said["hosts"]}
    expected = {"master1": FLAGGED | {LABELLED}, "master2": FLAGGED, **PUT_BACK}
    expected["master3"] = FLAGGED | PUT_BACK["master3"]
    assert planned == expected
    diffs = [change["diff"] for host in said["hosts"] for change in host["changes"]]
    assert any("-RestartSec=7" in diff for diff in diffs)
    assert any("+  --v=3" in diff for diff in diffs)

    starts = service_starts(lab)
    lab.k("up", file=edited)
    events = [json.loads(line) for line in (lab.last_run() / "events.jsonl").read_text().splitlines()]
    done: dict[str, set[Key]] = {name: set() for name in lab.hosts}
    for event in events:
        for change in event.get("changes", ()):
            done[event["host"]].add(_key(change | {"role": event["role"]}))
    assert done == planned
    restarted = {unit for unit, start in service_starts(lab).items() if start != starts[unit]}
    assert restarted == {
        (host, name)
        for host, changes in planned.items()
        for _, kind, action, name, _ in changes
        if kind == "unit" and action in {"start", "restart"}
    }
    assert lab.k("plan", "--detailed-exitcode", file=edited).stdout == "Nothing to change.\n"
    lab.file.write_text(original)
    lab.k("up")
    lab.k("verify")


Key = tuple[str, str, str, str, str]


def _key(change: dict[str, Any]) -> Key:
    return change["role"], change["kind"], change["action"], change["name"], " ".join(change["causes"])


ROUTES = "ip -4 route show proto 75 | cut -d' ' -f1-3"
RULES = "iptables-save | grep -- '-A.* K8SBOOTSTRAP'"
TAKEN_OFF = """
    ip -4 route flush proto 75
    iptables -F K8SBOOTSTRAP-FORWARD
    iptables -t nat -D POSTROUTING -j K8SBOOTSTRAP-MASQ
"""


def test_routes_and_rules_come_back(lab: Lab) -> None:
    """By themselves; plan names them and up sets them where what watches them does not run."""

    def there() -> tuple[set[str], set[str]]:
        return set(lab.sh("worker1", ROUTES).splitlines()), set(lab.sh("worker1", RULES).splitlines())

    before = there()
    assert (len(before[0]), len(before[1])) == (4, 5)
    for name, script in (
        ("an interface", "ip link set host0 down; /usr/local/sbin/lab-network"),
        ("all", TAKEN_OFF),
    ):
        lab.sh("worker1", script)
        assert there() != before
        wait_for(lambda: there() == before, 30, f"{name} is back")
    lab.sh("worker1", f"systemctl stop k8s-pod-network-watch; {TAKEN_OFF}")
    said = json.loads(lab.k("plan", "-o", "json").stdout)
    planned = [_key(change) for host in said["hosts"] for change in host["changes"]]
    assert {host["name"] for host in said["hosts"] if host["changes"]} == {"worker1"}
    routes = {("pod_network", "route", "add", line.split()[0], "drift") for line in before[0]}
    assert {key for key in planned if key[1] == "route"} == routes
    assert len([key for key in planned if key[1] == "rule"]) == 3
    assert ("pod_network", "unit", "start", "k8s-pod-network-watch.service", "drift") in planned
    lab.k("up")
    assert there() == before
    assert lab.k("plan", "--detailed-exitcode").stdout == "Nothing to change.\n"


def test_a_worker_that_is_gone_keeps_none_of_the_others(lab: Lab) -> None:
    args = {"kube-controller-manager": {"v": "1"}}
    file = lab.variant("without.yaml", lambda config: config["kubernetes"].update(extraArgs=args))
    lab.k("lab", "stop", "worker2")
    try:
        planned = lab.k("plan", file=file, code=5)
        said = lab.k("up", file=file, code=5).stderr
        _doctor_goes_on_without(lab, "worker2")
    finally:
        lab.k("lab", "start", "worker2")
    assert "worker2" in planned.stderr
    assert "restart kube-controller-manager.service" in planned.stdout
    assert "1 of 5 hosts could not be reached; the other hosts are now as cluster.yaml says" in said
    for name in ("master1", "master2", "master3"):
        assert "--v=1" in lab.sh(name, "tr '\\0' '\\n' </proc/$(pidof kube-controller-manager)/cmdline")
    lab.k("up", "--limit", "master1")
    assert "--v=1" not in lab.sh("master1", "cat /etc/systemd/system/kube-controller-manager.service")
    assert "--v=1" in lab.sh("master2", "cat /etc/systemd/system/kube-controller-manager.service")
    lab.k("up")
    _settle(lab)


def _doctor_goes_on_without(lab: Lab, lost: str) -> None:
    """A host that is down is the cause; an archive has all the others, and is judged the same."""
    found = examine(lab)
    first = found["findings"][0]
    assert (first["id"], first["host"]) == ("host-unreachable", lost), shown(found)
    assert {each["host"] for each in first["consequences"]} <= {lost}
    assert len(found["findings"]) == 1, shown(found)
    said = lab.k("support", "--output", "support.tar.gz")
    assert "4 of 5 hosts" in said.stdout
    assert f"not in it: {lost}" in said.stderr
    with tarfile.open(lab.directory / "support.tar.gz") as archive:
        files = {member.name.removeprefix("support/"): member.size for member in archive}
    assert files[f"hosts/{lost}/error.txt"]
    wanted = (
        "hosts/master1/journal/etcd.log",
        "hosts/worker1/network/routes.txt",
        "api/kube-system/pods.json",
    )
    assert all(files[name] > 200 for name in wanted), files
    again = examine(lab, "--from", "support.tar.gz")
    assert [(each["id"], each["host"]) for each in again["findings"]] == [("host-unreachable", lost)]


@pytest.mark.parametrize("broken", QUICK, ids=lambda broken: f"{broken.finding} {broken.host}")
def test_doctor_names_the_cause_and_the_fix(lab: Lab, broken: Break) -> None:
    try_break(lab, broken)
    wait_until_well(lab)


def test_doctor_reads_certificates(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    try_break(lab, foreign_certificate(lab))
    try_break(lab, expired_certificate(lab, monkeypatch))
    wait_until_well(lab)


def test_status(lab: Lab) -> None:
    found = json.loads(lab.k("status", "-o", "json").stdout)
    text = json.dumps(found)
    for name in lab.hosts:
        assert name in text
    assert BEFORE in text
    assert found["virtual_ip_on"] == _holders(lab)


HAS = "ip -o -4 address show to {}/32"


def test_the_virtual_ip_moves_to_a_living_master(lab: Lab) -> None:
    """The admin kubeconfig works on when the API server dies behind it; and the address can be turned off."""
    (holder,) = _holders(lab)
    lab.sh(holder, "systemctl kill --signal=KILL kube-apiserver; systemctl stop kube-apiserver")
    try:
        _answers_at_the_virtual_ip(lab, "its API server killed")
        (other,) = _holders(lab)
        assert other != holder
    finally:
        lab.sh(holder, "systemctl start kube-apiserver")
    wait_for(lambda: _ready(lab, holder), 60, f"the API server of {holder}")
    time.sleep(5)  # two checks
    assert _holders(lab) == [other]
    assert lab.k("plan", "--detailed-exitcode").stdout == "Nothing to change.\n"

    taken = lab.variant("taken.yaml", lambda config: config["api"].update(virtualIP=_in_network(lab, 1)))
    assert "already answers at" in lab.k("preflight", file=taken, code=4).stdout
    without = lab.variant("without.yaml", lambda config: config.pop("api"))
    lab.k("up", file=without)
    assert _holders(lab) == []
    assert lab.k("plan", "--detailed-exitcode", file=without).stdout == "Nothing to change.\n"
    starts = service_starts(lab)
    lab.k("up")
    assert len(_holders(lab)) == 1
    assert service_starts(lab).items() >= starts.items()


def _holders(lab: Lab) -> list[str]:
    """Masters that have the virtual IP."""
    has = HAS.format(lab.config["api"]["virtualIP"])
    return [name for name in MASTERS if lab.sh(name, has)]


def _ready(lab: Lab, name: str) -> bool:
    ask = "kubectl --kubeconfig /etc/kubernetes/admin.conf get --raw /readyz 2>/dev/null"
    return lab.sh(name, ask, code=None) == "ok"


def _answers_at_the_virtual_ip(lab: Lab, what: str) -> None:
    """Ask with the admin kubeconfig that was written before, from outside, until kubectl gets an answer."""
    kubeconfig = lab.state / "admin.kubeconfig"
    assert f"server: https://{lab.config['api']['virtualIP']}:6443" in kubeconfig.read_text()
    files = Path(lab.config["artifacts"]["sources"][-1]["directory"])
    program = next(files.glob(f"kubernetes/{BEFORE}/*/kubectl"))
    command = [program, f"--kubeconfig={kubeconfig}", "--request-timeout=2s", "get", "--raw", "/readyz"]

    def answers() -> bool:
        return subprocess.run(command, capture_output=True, check=False).stdout == b"ok"

    began = time.monotonic()
    wait_for(answers, 15, "an answer at the virtual IP")
    print(f"{what}: kubectl has an answer after {time.monotonic() - began:.1f} s")  # noqa: T201


def test_master_lost(lab: Lab) -> None:
    """With a master gone the API and all that verify tests stay good through every other node."""
    (holder,) = _holders(lab)
    lab.k("lab", "stop", holder)
    _answers_at_the_virtual_ip(lab, "its host stopped")
    lab.k("lab", "start", holder)
    _settle(lab)
    lab.k("lab", "stop", "master1")
    said = json.loads(lab.k("verify", "--allow-down", "master1", "-o", "json", timeout=300).stdout)
    assert any(entry["status"] == "skipped" for entry in said["results"])
    _the_api_is_found(lab)
    lab.k("verify", code=6)
    lab.k("lab", "start", "master1")
    _settle(lab)
    lab.k("verify")


def _the_api_is_found(lab: Lab) -> None:
    """Without the first master: directly, and through SSH where the port is closed to this machine."""
    hosts = model.require(lab.file)
    program = hosts.root(hosts.host("master2")) / "usr/local/bin/kubectl"
    path = f"{program.parent}:{os.environ['PATH']}"
    said = lab.k("kubeconfig", "--output", "found.conf", file=lab.directory / "without.yaml").stderr
    assert f"the file names {lab.address('master2')}:6443" in said
    assert f"https://{lab.address('master2')}:6443" in (lab.directory / "found.conf").read_text()
    assert "worker1" in lab.k("kubectl", "get", "nodes", PATH=path).stdout
    lab.k("kubectl", "get", "nosuchthing", code=1, PATH=path)
    rule = f"INPUT -p tcp --dport 6443 -s {hosts.gateway} -j DROP"
    for name in ("master2", "master3"):
        lab.sh(name, f"iptables -I {rule}")
    try:
        assert "no API server answers this machine" in lab.k("kubeconfig").stderr
        assert "worker1" in lab.k("kubectl", "get", "nodes", PATH=path).stdout
    finally:
        for name in ("master2", "master3"):
            lab.sh(name, f"iptables -D {rule}")


def test_hosts_that_ask_for_it_are_rebooted(lab: Lab) -> None:
    """A worker and the master that leads etcd, with a run that is killed in between, and no write lost."""
    leader = lab.etcd_leader()
    boots = _boots(lab)
    for name in ("worker1", leader):
        lab.sh(name, "touch /run/reboot-required")
    process = lab.start("reboot", "--if-required", "--yes")
    reason = "get node worker1 -o jsonpath={.metadata.annotations}"
    wait_for(lambda: '"k8sbootstrap.io/cordoned":"reboot:' in lab.kubectl(reason), 60, "worker1 is cordoned")
    kill(process)
    assert "uncordon node worker1" in lab.k("plan").stdout
    with load(lab, "writes", "worker2", f"{API}/worker2", KUBELET_CLIENT, watch=True) as writes:
        lab.k("reboot", "--if-required", "--yes")
        counted = writes.end()
    print(counted)  # noqa: T201
    assert counted.lost == []
    now = _boots(lab)
    assert {name for name in lab.hosts if boots[name] != now[name]} == {"worker1", leader}
    assert lab.etcd_leader() != leader
    assert "no host requires a reboot" in lab.k("reboot", "--if-required", "--yes").stdout
    assert "Nothing to change" in lab.k("up").stdout
    lab.k("verify")


def _boots(lab: Lab) -> dict[str, str]:
    return {name: lab.sh(name, "cat /proc/sys/kernel/random/boot_id") for name in lab.hosts}


def test_a_host_and_the_whole_cluster_stop_and_start(lab: Lab) -> None:
    """What runs is stopped, pods too; a node that was stopped takes no pods until it is started."""
    lab.k("stop", "master2", "--yes")
    assert lab.sh("master2", RUNS, code=None) == ""
    (cause,) = examine(lab)["findings"]
    assert (cause["id"], cause["host"], cause["fix"]) == (
        "host-stopped",
        "master2",
        "Run: k8sbootstrap start master2",
    )
    said = lab.k("stop", "master1", "--yes", code=4).stderr
    assert "etcd would have no quorum without master1" in said
    stopped = "get node master2 -o jsonpath={.spec.unschedulable}{.metadata.annotations}"
    assert lab.kubectl(stopped).startswith("true{")
    assert '"k8sbootstrap.io/cordoned":"stop"' in lab.kubectl(stopped)
    lab.k("start", "master2", "--yes")
    assert lab.kubectl("get nodes -o jsonpath={.items[*].spec.unschedulable}") == ""
    lab.k("stop", "--yes")
    assert {lab.sh(name, RUNS, code=None) for name in lab.hosts} == {""}
    lab.k("start", "--yes")
    assert "Nothing to do" in lab.k("start", "--yes").stdout
    assert "Nothing to change" in lab.k("up").stdout


RUNS = "ps -e -o comm= | grep -E '^(etcd|kube|haproxy|pause|coredns)|^containerd$'"


MASTERS = ("master1", "master2", "master3")
GONE = "systemctl stop etcd; rm -r /var/lib/etcd/member"
"""What makes a member lose its data."""


def test_etcd_comes_back_from_a_snapshot(lab: Lab) -> None:
    """All members lose their data, and the restore is killed in the middle: it goes on and all is back."""
    lab.k("up")
    found = json.loads(lab.k("etcd", "status", "-o", "json").stdout)
    assert found["ok"]
    assert found["voters"] == {"number": 3, "healthy": 3, "quorum": 2, "may_fail": 1}
    lab.kubectl("create configmap kept --from-literal=a=1")
    said = lab.k("etcd", "snapshot", "--output", "etcd.db.gz").stdout
    leader = next(each["host"] for each in found["members"] if each["leader"])
    assert f"on {leader}:" not in said
    assert (
        subprocess.run(["sha256sum", "-c", "etcd.db.gz.sha256"], cwd=lab.directory, check=False).returncode
        == 0
    )
    lab.kubectl("create configmap later --from-literal=a=1")
    lab.kubectl("delete configmap kept")
    assert "3 members: " in lab.k("etcd", "defrag").stdout
    for name in MASTERS:
        lab.sh(name, GONE)
    assert "k8sbootstrap etcd restore --newest" in lab.k("plan", code=4).stderr
    process = lab.start("etcd", "restore", "--newest", "--yes")
    begun = "test -d /var/lib/etcd/member"
    wait_for(
        lambda: any(lab.sh(name, f"{begun} && echo yes", code=None) for name in MASTERS), 120, "new data"
    )
    kill(process)
    assert "a restore of etcd was begun on master1" in lab.k("up", code=4).stderr
    lab.k("etcd", "restore", "--newest", "--yes")
    _works_as_before(lab)


def _works_as_before(lab: Lab) -> None:
    """What was in the snapshot is there, what came later is not; controllers and kubelets see what is new."""
    names = lab.kubectl("get configmaps -o name")
    assert "configmap/kept" in names
    assert "configmap/later" not in names
    lab.kubectl(
        "create deployment restored --image docker.io/library/busybox:1.35.0 --replicas 2 -- sleep 1000"
    )
    lab.kubectl("rollout status deployment restored --timeout=60s")
    lab.kubectl("delete deployment restored --wait=false")
    assert json.loads(lab.k("etcd", "status", "-o", "json").stdout)["ok"]
    assert lab.k("plan", "--detailed-exitcode").stdout == "Nothing to change.\n"


def test_etcd_comes_back_from_a_survivor(lab: Lab) -> None:
    """Two of three members have lost their data for ever: the third has more than any snapshot."""
    lab.kubectl("create configmap newest --from-literal=a=1")
    said = lab.k("etcd", "recover", "--survivor", "master1", "--yes", code=4).stderr
    assert "etcd has a quorum: 3 of 3 members are healthy" in said
    for name in MASTERS[1:]:
        lab.sh(name, GONE)
    assert "k8sbootstrap etcd recover --survivor master1" in lab.k("plan", code=4).stderr
    lab.k("etcd", "recover", "--survivor", "master1", "--yes")
    assert "configmap/newest" in lab.kubectl("get configmaps -o name")
    _works_as_before(lab)


def test_quorum_is_never_put_at_risk(lab: Lab) -> None:
    """A change that restarts etcd waits, on every member, for all of its peers to be healthy."""
    args = {"etcd": {"snapshot-count": "9000"}}
    file = lab.variant("etcd.yaml", lambda config: config["kubernetes"].update(extraArgs=args))
    before = _etcd_starts(lab)
    rule = "INPUT -p tcp --dport 2379 ! -i lo -j DROP"
    lab.sh("master3", f"iptables -I {rule}")
    try:
        said = lab.k("up", file=file, code=5).stderr
    finally:
        lab.sh("master3", f"iptables -D {rule}")
    assert f"was not restarted: its peer https://{lab.address('master3')}:2379/health" in said
    assert "is not healthy" in said
    now = _etcd_starts(lab)
    assert (now["master1"], now["master2"]) == (before["master1"], before["master2"])
    planned = lab.k("plan", file=file).stdout
    assert planned.count("restart etcd.service") == sum(now[name] == before[name] for name in before)
    assert "restart kube-apiserver.service" not in planned
    lab.k("up", file=file)
    after = _etcd_starts(lab)
    assert all(before[name] != after[name] for name in before)
    lab.k("verify")


RESTART_FOR_CERTIFICATES = {"kube-controller-manager.service", "kube-scheduler.service"}


def test_certificates_are_renewed(lab: Lab) -> None:
    """All of them, killed midway, from two machines: each service that must restart does so once."""
    other = _other_machine(lab)
    lab.k("up")  # puts back what another test changed of etcd
    before, served = service_starts(lab), serials(lab)
    with load(lab, "api", "worker1", f"{API}/worker1", KUBELET_CLIENT, watch=True) as writes:
        process = lab.start("certs", "renew", "--all", "--yes")
        wait_for(
            lambda: service_starts(lab) != before or process.poll() is not None, 120, "a service restarts"
        )
        assert process.poll() is None, process.communicate()[0]
        kill(process)
        midway = settled(lab)
        said = lab.k("certs", "renew", "--all", "--yes").stdout
        counted = writes.end()
    print(counted)  # noqa: T201
    assert counted.lost == []
    assert counted.sent > 50
    after = service_starts(lab)
    changed = {unit for unit in before if before[unit] != after[unit]}
    assert {name for _, name in changed} == RESTART_FOR_CERTIFICATES
    assert len(changed) == 3 + 3
    again = {unit for unit in changed if midway[unit] not in {before[unit], after[unit]}}
    assert again == set()
    assert f"{sum(midway[unit] != after[unit] for unit in changed)} services restarted." in said
    wait_for(
        lambda: not set(serials(lab).items()) & set(served.items()), 90, "all ports serve new certificates"
    )
    assert "Nothing to renew" in lab.k("certs", "renew", "--yes").stdout
    assert lab.k("plan", "--detailed-exitcode").stdout == "Nothing to change.\n"
    assert lab.k("plan", "--detailed-exitcode", file=other).stdout == "Nothing to change.\n"
    lab.k("certs", "status", "--warn-days", "300")


def settled(lab: Lab) -> dict[tuple[str, str], str]:
    """What ``service_starts`` says when hosts have ended what they did for a command that was killed."""
    seen: list[dict[tuple[str, str], str]] = []
    while len(seen) < 2 or seen[-1] != seen[-2]:
        time.sleep(5)
        seen.append(service_starts(lab))
    return seen[-1]


def _other_machine(lab: Lab) -> Path:
    """cluster.yaml on a machine that has the state directory as it is now."""
    folder = lab.directory / "other"
    shutil.copytree(lab.state, folder / ".k8sbootstrap" / lab.config["name"], symlinks=True)
    for path in (lab.file, lab.directory / lab.config["ssh"]["key"]):
        target = folder / path.relative_to(lab.directory)
        target.parent.mkdir(exist_ok=True, parents=True)
        shutil.copy2(path, target)
    return folder / lab.file.name


def test_masters_renew_what_they_hold(lab: Lab) -> None:
    """By what their timer starts: with the keys that are there, and without drift. Workers need an up."""
    masters = [name for name in lab.hosts if name.startswith("master")]
    leave(lab, dt.timedelta(days=10))
    keys = "sha256sum /etc/kubernetes/pki/*.key /etc/kubernetes/pki/etcd/*.key /etc/etcd/pki/*.key"
    before, kept = service_starts(lab), [lab.sh(name, keys) for name in masters]
    for name in masters:
        assert lab.infra(name).service("k8sbootstrap-certificates.timer").is_running
        lab.sh(name, "systemctl start k8sbootstrap-certificates.service")
    said = lab.sh("master1", "journalctl --no-pager -o cat -u k8sbootstrap-certificates.service")
    assert "/etc/kubernetes/pki/apiserver.crt: renewed" in said
    assert [lab.sh(name, keys) for name in masters] == kept
    changed = {unit for unit, start in service_starts(lab).items() if start != before[unit]}
    assert changed == {(name, unit) for name in masters for unit in RESTART_FOR_CERTIFICATES}
    hosts = json.loads(lab.k("plan", "-o", "json").stdout)["hosts"]
    causes = {
        host["name"]: {cause for change in host["changes"] for cause in change["causes"]} for host in hosts
    }
    assert causes == {name: set() if name in masters else {"renewal"} for name in lab.hosts}


def test_a_cluster_comes_back_whose_certificates_have_all_expired(lab: Lab) -> None:
    """It was off meanwhile. One up brings it back: etcd's members, API servers, kubelets, the operator."""
    nodes = lab.kubectl("get nodes -o jsonpath={.items[*].metadata.uid}")
    leave(lab, -dt.timedelta(minutes=1))
    lab.k("lab", "stop", *lab.hosts)
    lab.k("lab", "start", *lab.hosts)
    assert (
        "certificates with less than 0 days left"
        in lab.k("certs", "status", "--warn-days", "0", code=6).stderr
    )
    lab.sh("master1", "kubectl --kubeconfig /etc/kubernetes/admin.conf get nodes", code=1)
    lab.k("up")
    assert lab.kubectl("get nodes -o jsonpath={.items[*].metadata.uid}") == nodes
    assert lab.k("plan", "--detailed-exitcode").stdout == "Nothing to change.\n"
    lab.k("certs", "status", "--warn-days", "300")


def test_a_user_has_the_rights_of_the_groups(lab: Lab) -> None:
    lab.k("kubeconfig", "--user", "jane", "--group", "dev", "--days", "1", "--output", "jane.conf")
    kubeconfig = (lab.directory / "jane.conf").read_text()
    lab.sh("master1", f"umask 077; cat >/root/jane.conf <<'END'\n{kubeconfig}END")
    get = "kubectl --kubeconfig /root/jane.conf get pods -A"
    lab.sh("master1", get, code=1)
    lab.kubectl("create clusterrolebinding dev --clusterrole view --group dev")
    wait_for(
        lambda: lab.sh("master1", f"{get} >/dev/null && echo yes || true") == "yes\n", 10, "jane may look"
    )
    lab.sh("master1", "kubectl --kubeconfig /root/jane.conf get secrets -A", code=1)
    lab.sh("master1", "rm /root/jane.conf")
    lab.kubectl("delete clusterrolebinding dev")
    assert "jane  dev" in lab.k("certs", "users").stdout


def test_upgrade_loses_no_request(lab: Lab) -> None:
    """To the next minor, killed in the middle: neither the API nor a Service loses a request."""
    lab.k("up")  # puts back what another test changed of etcd
    began = time.time()
    new = lab.variant("upgraded.yaml", _to(NEWEST))
    lab.sh("master1", f"cat <<'END' | kubectl --kubeconfig /etc/kubernetes/admin.conf apply -f -\n{WEB}END")
    lab.kubectl("run debug --image docker.io/library/busybox:1.35.0 --command -- sleep 1000")
    lab.kubectl("wait pod/debug --for=condition=Ready --timeout=60s")
    said = lab.k("up", file=new, code=4).stderr
    assert "upgrade-bare-pods: no controller would start these pods again: default/debug on worker" in said
    lab.kubectl("delete pod debug --now")
    lab.kubectl("rollout status deployment web --timeout=60s")
    service = lab.kubectl("get service web -o jsonpath={.spec.clusterIP}")
    api = "https://127.0.0.1:6443/api/v1/nodes/worker1"
    before = set((lab.state / "runs").iterdir())
    with (
        load(lab, "api", "worker1", api, KUBELET_CLIENT) as to_api,
        load(lab, "service", "master1", f"http://{service}/") as to_service,
    ):
        process = lab.start("--file", str(new), "up")
        drained = '"role": "node_drain", "action": "kube_drain", "host": "worker1"'

        def is_drained() -> bool:
            assert process.poll() is None, process.communicate()[0]
            runs = set((lab.state / "runs").iterdir()) - before
            return any(drained in (run / "events.jsonl").read_text() for run in runs)

        wait_for(is_drained, 900, "worker1 is drained")
        kill(process)
        assert "SchedulingDisabled" in lab.kubectl("get node worker1")
        lab.k("up", file=new)
        counted = [to_api.end(), to_service.end()]
    print(*counted, sep="\n")  # noqa: T201
    nodes = lab.kubectl("get nodes --no-headers")
    assert nodes.count(f"v{NEWEST}") == len(lab.hosts)
    assert "SchedulingDisabled" not in nodes
    assert [each.lost for each in counted] == [[], []]
    assert all(each.sent > 100 for each in counted)
    assert turned_away(lab, "worker1", began) == {"master1", "master2", "master3"}
    kept = [lab.sh(name, "ls /var/lib/k8sbootstrap/etcd-snapshots", code=None) for name in lab.hosts[:3]]
    assert any(f"-before-{NEWEST}-from-{BEFORE}.db" in names for names in kept)
    assert f"a downgrade to {BEFORE} is not possible" in lab.k("up", code=4).stderr


def _to(version: str) -> Callable[[dict[str, Any]], None]:
    def change(config: dict[str, Any]) -> None:
        config["kubernetes"]["version"] = version

    return change


def test_reset_and_up_again_from_a_mirror(lab: Lab, bare: dict[str, dict[str, list[str]]]) -> None:
    """Hosts are as they were, and join again at once, now with files that they fetch from a mirror."""
    lab.k("reset", "--yes")
    for name in lab.hosts:
        assert differences(bare[name], snapshot(lab, name)) == {}
    directory = lab.config["artifacts"]["sources"][-1]["directory"]
    with _mirror(directory, lab.address("master1").rpartition(".")[0] + ".1") as (url, clients):
        own = lab.config["artifacts"]["sources"][-1]["ownBuilds"]
        sources = {"sources": [{"url": url, "ownBuilds": own}], "upstream": False}
        file = lab.variant("mirror.yaml", lambda config: config.update(artifacts=sources))
        lab.k("up", file=file, K8SBOOTSTRAP_CACHE=str(lab.directory / "empty-cache"))
        assert {lab.address(name) for name in lab.hosts} <= clients
    lab.k("verify")


@contextmanager
def _mirror(directory: str, address: str) -> Iterator[tuple[str, set[str]]]:
    """Serve a directory over HTTP: its URL, and the addresses of those who asked."""
    clients: set[str] = set()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            clients.add(self.client_address[0])

    handler = functools.partial(Handler, directory=directory)
    with http.server.ThreadingHTTPServer((address, 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{address}:{server.server_port}", clients
        finally:
            server.shutdown()


def _etcd_starts(lab: Lab) -> dict[str, str]:
    command = "systemctl show -p ExecMainStartTimestamp --value etcd"
    return {name: lab.sh(name, command) for name in ("master1", "master2", "master3")}


def _settle(lab: Lab, on: str = "master2") -> None:
    """Wait until all nodes are Ready; a node that came back needs a moment to say so."""

    def ready() -> bool:
        text = lab.sh(on, "kubectl --kubeconfig /etc/kubernetes/admin.conf get nodes --no-headers", code=None)
        return text.count(" Ready ") + text.count(" Ready,") == len(lab.hosts)

    wait_for(ready, 120, "all nodes Ready")
