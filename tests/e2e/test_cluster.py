"""Three masters and two workers: up, unchanged by a second run, whole after losses, gone after reset."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from labs import Lab, make_lab, summary, wait_for
from snapshot import differences, snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    yield from make_lab(tmp_path_factory.mktemp("cluster"), "--masters", "3", "--workers", "2")


@pytest.fixture(scope="module")
def bare(lab: Lab) -> dict[str, dict[str, list[str]]]:
    return {name: snapshot(lab, name) for name in lab.hosts}


def test_up(lab: Lab, bare: dict[str, dict[str, list[str]]]) -> None:
    assert set(bare) == {"master1", "master2", "master3", "worker1", "worker2"}
    lab.k("up")
    lab.k("verify", "--junit", "verify.xml")
    assert "<testsuite" in (lab.directory / "verify.xml").read_text()


def test_up_again_changes_nothing(lab: Lab) -> None:
    said = lab.k("up").stdout
    assert "Nothing to change: 5 hosts, 0 changed." in said
    hosts = summary(lab)["hosts"]
    print("tasks per host on the second run:", {name: host["ok"] for name, host in hosts.items()})  # noqa: T201
    assert all(host["changed"] == 0 for host in hosts.values())


def test_status(lab: Lab) -> None:
    found = json.loads(lab.k("status", "-o", "json").stdout)
    text = json.dumps(found)
    for name in lab.hosts:
        assert name in text
    assert "1.20.2" in text


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
    # 1.20 leaves watches of Services open that get nothing any more (kubernetes#102539, mended in 1.20.11)
    lab.sh("master2", "systemctl restart kube-apiserver kube-proxy")
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
    lab.k("up", file=file)
    after = _etcd_starts(lab)
    assert all(before[name] != after[name] for name in before)
    lab.k("verify")


def test_reset_and_up_again_from_a_mirror(lab: Lab, bare: dict[str, dict[str, list[str]]]) -> None:
    """Hosts are as they were, and join again at once, now with files that they fetch from a mirror."""
    lab.k("reset", "--yes")
    for name in lab.hosts:
        assert differences(bare[name], snapshot(lab, name)) == {}
    directory = lab.config["artifacts"]["sources"][-1]["directory"]
    with _mirror(directory, lab.address("master1").rpartition(".")[0] + ".1") as (url, clients):
        sources = {"sources": [{"url": url}], "upstream": False}
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
