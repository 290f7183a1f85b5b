"""Three masters and two workers, containerd on Debian 13: up, up again, losses, an upgrade, reset."""

from __future__ import annotations

import functools
import http.server
import json
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from clusters import BEFORE, NEWEST, THREE_MASTERS
from labs import Lab, kill, make_lab, summary, wait_for
from load import KUBELET_CLIENT, WEB, load, turned_away
from snapshot import differences, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    yield from make_lab(tmp_path_factory.mktemp("cluster"), *THREE_MASTERS.options)


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
}
"""What somebody does to hosts."""
MENDED = {
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
    systemctl show -p Id,ActiveState,ExecMainStartTimestamp etcd 'kube*' 'k8s*' containerd haproxy
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

    edited = lab.variant("edited.yaml", edit)
    for name, script in DRIFT.items():
        lab.sh(name, script)
    hosts = {name: set(lab.sh(name, EVERYTHING).splitlines()) for name in lab.hosts}
    said = json.loads(lab.k("plan", "--detailed-exitcode", "-o", "json", file=edited, code=11).stdout)
    for name, before in hosts.items():
        assert set(lab.sh(name, EVERYTHING).splitlines()) ^ before == set(), name
    planned = {host["name"]: {_key(change) for change in host["changes"]} for host in said["hosts"]}
    expected = {"master1": FLAGGED | {LABELLED}, "master2": FLAGGED, "master3": FLAGGED, **MENDED}
    assert planned == expected
    diffs = [change["diff"] for host in said["hosts"] for change in host["changes"]]
    assert any("-RestartSec=7" in diff for diff in diffs)
    assert any("+  --v=3" in diff for diff in diffs)

    starts = _starts(lab)
    lab.k("up", file=edited)
    events = [json.loads(line) for line in (lab.last_run() / "events.jsonl").read_text().splitlines()]
    done: dict[str, set[Key]] = {name: set() for name in lab.hosts}
    for event in events:
        for change in event.get("changes", ()):
            done[event["host"]].add(_key(change | {"role": event["role"]}))
    assert done == planned
    restarted = {unit for unit, start in _starts(lab).items() if start != starts[unit]}
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


def _starts(lab: Lab) -> dict[tuple[str, str], str]:
    """(host, unit) of every unit that was set up to when it was last started."""
    command = (
        'python3 -c \'import json; r = json.load(open("/var/lib/k8sbootstrap/record.json"));'
        ' print(*[u for c in r["components"].values() for u in c["units"]])\''
        " | tr ' ' '\\n' | while read u; do"
        " echo $u $(systemctl show -p ExecMainStartTimestampMonotonic --value $u); done"
    )
    lines = [(name, line.split()) for name in lab.hosts for line in lab.sh(name, command).splitlines()]
    return {(name, words[0]): words[1] for name, words in lines}


def test_a_worker_that_is_gone_keeps_none_of_the_others(lab: Lab) -> None:
    args = {"kube-controller-manager": {"v": "1"}}
    file = lab.variant("without.yaml", lambda config: config["kubernetes"].update(extraArgs=args))
    lab.k("lab", "stop", "worker2")
    try:
        planned = lab.k("plan", file=file, code=5)
        said = lab.k("up", file=file, code=5).stderr
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


def test_status(lab: Lab) -> None:
    found = json.loads(lab.k("status", "-o", "json").stdout)
    text = json.dumps(found)
    for name in lab.hosts:
        assert name in text
    assert BEFORE in text


def test_master_lost(lab: Lab) -> None:
    """With a master gone the API and all that verify tests stay good through every other node."""
    lab.k("lab", "stop", "master1")
    said = json.loads(lab.k("verify", "--allow-down", "master1", "-o", "json", timeout=300).stdout)
    assert any(entry["status"] == "skipped" for entry in said["results"])
    lab.k("verify", code=6)
    lab.k("lab", "start", "master1")
    _settle(lab)
    lab.k("verify")


def test_master_cut_off(lab: Lab) -> None:
    """A master that is cut off without being stopped: the others go on, and it is whole again when healed."""
    lab.k("lab", "partition", "master2")
    try:
        lab.k("verify", "--allow-down", "master2", timeout=300)
    finally:
        lab.k("lab", "heal", "master2")
    _settle(lab, on="master1")
    lab.k("verify")


def test_worker_rebooted(lab: Lab) -> None:
    lab.k("lab", "stop", "--graceful", "worker1")
    lab.k("lab", "start", "worker1")
    _settle(lab)
    lab.k("verify")


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
    assert f"was not restarted: its peer https://{lab.address('master3')}:2379/health is not healthy" in said
    now = _etcd_starts(lab)
    assert (now["master1"], now["master2"]) == (before["master1"], before["master2"])
    planned = lab.k("plan", file=file).stdout
    assert planned.count("restart etcd.service") == sum(now[name] == before[name] for name in before)
    assert "restart kube-apiserver.service" not in planned
    lab.k("up", file=file)
    after = _etcd_starts(lab)
    assert all(before[name] != after[name] for name in before)
    lab.k("verify")


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
