import socket
import threading
import time
from contextlib import suppress
from dataclasses import replace

import pytest

from k8sbootstrap.errors import HostError
from k8sbootstrap.hosts import bastions, client
from k8sbootstrap.hosts import command as hosts_command
from k8sbootstrap.hosts.answers import Request, RunAnswer, RunCommand
from k8sbootstrap.hosts.host_keys import ensure_known
from k8sbootstrap.hosts.pool import Hosts, Pool
from tests.unit.checks.cluster.healthy import make_plan
from tests.unit.hosts.sessions import LocalSession, ScriptedSession, unreachable
from tests.unit.hosts.ssh_server import bastion_of, target_of


@pytest.fixture
def targets(tmp_path):
    return [host.ssh for host in make_plan(tmp_path).hosts]


def test_all_hosts_answer_over_one_connection_each(targets):
    opened = []

    def connect(target):
        opened.append(LocalSession(target))
        return opened[-1]

    requests = {target.host: Request(run={"say": RunCommand(("echo", target.host))}) for target in targets}
    with Pool(connect) as pool:
        hosts = Hosts(pool, targets)
        for _ in range(2):
            answers = hosts.ask_all(requests)
            assert {name: answer.run["say"].stdout.strip() for name, answer in answers.items()} == {
                target.host: target.host for target in targets
            }
    assert sorted(session.target.host for session in opened) == ["m1", "m2", "m3", "w1", "w2"]
    assert all(session.closed for session in opened)


def test_a_host_that_went_down_is_connected_with_anew(targets):
    opened = []

    def connect(target):
        opened.append(LocalSession(target))
        return opened[-1]

    with Pool(connect) as pool:
        for target in targets[:2]:
            pool.session(target)
        pool.disconnect(targets[0].host)
        pool.disconnect(targets[2].host)  # it never had one
        assert [session.closed for session in opened] == [True, False]
        pool.session(targets[0])
    assert [session.target.host for session in opened] == ["m1", "m2", "m1"]


def test_a_host_that_cannot_be_reached_is_lost_and_not_tried_again(targets):
    tried = []

    def connect(target):
        tried.append(target.host)
        return unreachable(target) if target.host == "m2" else LocalSession(target)

    with Pool(connect) as pool:
        hosts = Hosts(pool, targets)
        for _ in range(2):
            answers = hosts.ask_all({target.host: Request() for target in targets})
            assert sorted(answers) == ["m1", "m3", "w1", "w2"]
        assert hosts.lost == {"m2": "m2 (192.0.2.12): connection timed out (start it)"}
        with pytest.raises(HostError, match="connection timed out"):
            hosts.run("m2", "true")
    assert tried.count("m2") == 1


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (RunAnswer(127, "", "sh: 1: python3: not found"), "python3 is not installed"),
        (RunAnswer(1, "", "no platform libraries"), "python3 failed: no platform libraries"),
        (RunAnswer(0, "Welcome to this host!", ""), "Welcome to this host!"),
    ],
)
def test_a_host_that_cannot_run_the_agent_says_so(targets, reply, words):
    with Pool(lambda target: ScriptedSession(target, lambda *_: reply)) as pool:
        hosts = Hosts(pool, targets)
        assert hosts.ask_all({"w1": Request()}) == {}
        assert words in hosts.lost["w1"]


def command(_host, session):
    return session.run("echo hi").stdout


@pytest.fixture
def two(new_server, key, known_hosts):
    """Two hosts behind one bastion, with their servers: bastion, m1, m2."""
    servers = [new_server() for _ in range(3)]
    bastion = bastion_of(servers[0])
    targets = [
        target_of(server, key, known_hosts, host=f"m{n}", bastion=bastion)
        for n, server in enumerate(servers[1:], 1)
    ]
    return targets, servers


def test_a_command_logs_in_once_on_every_host_and_bastion(two):
    targets, servers = two
    with Pool(timeout=2) as pool:
        ensure_known(pool, targets, accept_new=True, ask=None)
        for _ in range(3):
            assert pool.on_all(targets, command) == {"m1": "hi\n", "m2": "hi\n"}
        assert [len(server.transports) for server in servers] == [1, 1, 1]
    wait_until(lambda: not any(each.is_active() for server in servers for each in server.transports))


@pytest.mark.parametrize("quiet", [0.0, 30.0])
@pytest.mark.parametrize("cut", [0, 1], ids=["bastion", "host"])
def test_a_connection_that_broke_meanwhile_is_opened_again(two, monkeypatch, quiet, cut):
    monkeypatch.setattr(client, "_QUIET", quiet)
    targets, servers = two
    with Pool(timeout=2) as pool:
        ensure_known(pool, targets, accept_new=True, ask=None)
        pool.on_all(targets, command)
        servers[cut].cut()
        wait_until(lambda: not pool._sessions["m1"]._transport.is_active())
        assert pool.on_all(targets, command) == {"m1": "hi\n", "m2": "hi\n"}
    assert len(servers[cut].transports) == 2


def wait_until(met):
    deadline = time.monotonic() + 5
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_login_that_waited_for_long_begins_anew(target, server, monkeypatch):
    """Servers end connections on which nobody logs in."""
    monkeypatch.setattr(client, "_PATIENCE", 0.0)
    with Pool(timeout=2) as pool:
        ensure_known(pool, [target], accept_new=True, ask=None)
        assert pool.on_all([target], command) == {"m1": "hi\n"}
    assert len(server.transports) == 2


def test_hosts_behind_a_dead_bastion_share_its_failure(two, monkeypatch):
    targets, servers = two
    servers[0].close()
    tried = []

    def reach(place, *_):
        tried.append(place)
        time.sleep(0.2)
        raise HostError(f"{place}: no answer")

    monkeypatch.setattr(bastions, "reach", reach)
    with Pool(timeout=2) as pool:
        found = pool.on_all(targets, command)
    place = f"the bastion (127.0.0.1:{servers[0].port})"
    assert {str(error) for error in found.values()} == {f"{name}: {place}: no answer" for name in found}
    assert sorted(found) == ["m1", "m2"]
    assert len(tried) == 1


def test_connections_end_quietly_after_their_bastion_went_away(two):
    targets, _ = two
    with Pool(timeout=2) as pool:
        ensure_known(pool, targets, accept_new=True, ask=None)
        pool.on_all(targets, command)
        for target in targets:
            pool._bastions.way_to(target).sock.close()


@pytest.mark.parametrize("words", ["does not stop writing", "did not end"])
def test_a_connection_is_closed_where_a_command_does_not_end(target, server, monkeypatch, words):
    """Its host would go on sending, and nobody would read it."""
    monkeypatch.setattr(hosts_command, "MAX_OUT", 1 << 20)
    endless = "yes" if words == "does not stop writing" else "sleep 30"
    with Pool(timeout=2) as pool:
        ensure_known(pool, [target], accept_new=True, ask=None)
        found = pool.on_all([target], lambda _host, session: session.run(endless, timeout=1))
        assert words in str(found["m1"])
        wait_until(lambda: not server.transports[0].is_active())
        assert pool.on_all([target], command) == {"m1": "hi\n"}


def test_a_connection_that_a_firewall_dropped_without_a_word_is_opened_again(target, server, monkeypatch):
    monkeypatch.setattr(client, "_QUIET", 0.0)
    with Pool(timeout=1) as pool, Firewall(server.port) as firewall:
        behind = replace(target, port=firewall.port)
        ensure_known(pool, [behind], accept_new=True, ask=None)
        assert pool.on_all([behind], command) == {"m1": "hi\n"}
        firewall.forget()
        assert pool.on_all([behind], command) == {"m1": "hi\n"}
    assert len(server.transports) == 2


class Firewall:
    """Passes connections on to a port of this machine, until it forgets those that there are."""

    def __init__(self, port):
        self._to = port
        self._forgotten = threading.Event()
        self._links = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.close()
        for link in self._links:
            link.close()

    def forget(self):
        """From now on nothing passes on the connections that there are; they stay open."""
        self._forgotten.set()
        self._forgotten = threading.Event()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._to))
            self._links += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(one, other, self._forgotten), daemon=True).start()

    @staticmethod
    def _pass(one, other, forgotten):
        with suppress(OSError):
            while data := one.recv(32768):
                if not forgotten.is_set():
                    other.sendall(data)
