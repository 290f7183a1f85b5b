"""Hosts that lie to every place that asks one: an SSH server that runs nothing and answers what it likes."""

import ast
import json
import re
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from k8sbootstrap.actions.snapshot import take_before_upgrade
from k8sbootstrap.checks import framework
from k8sbootstrap.checks.cluster.run import run_verify
from k8sbootstrap.checks.hosts.run import run_preflight
from k8sbootstrap.config.models.cluster import Cluster
from k8sbootstrap.errors import HostError, K8sBootstrapError
from k8sbootstrap.hosts import command
from k8sbootstrap.hosts.client import SSHSession
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.pki.offer import KEPT
from k8sbootstrap.plan.build import build_plan
from k8sbootstrap.state import State
from k8sbootstrap.survey.authorities import recover_pki
from k8sbootstrap.survey.boots import boots
from k8sbootstrap.survey.status.collect import collect
from k8sbootstrap.survey.todo import look_at_hosts
from k8sbootstrap.survey.upgrade.models import PendingUpgrade
from k8sbootstrap.survey.upgrade.observe import Running, look_at
from tests.unit.hosts.ssh_server import learn, target_of

PACKAGE = Path(__file__).parents[3] / "k8sbootstrap"
CONFIG = {
    "apiVersion": "k8sbootstrap/v1alpha1",
    "kind": "Cluster",
    "name": "demo",
    "kubernetes": {"version": "1.36.2"},
    "hosts": [{"name": "m1", "address": "127.0.0.1", "roles": ["master"]}],
}
KEYS = ("cluster", "digests", "drift", "routes", "files", "http", "run", "certificates", "python", "path")
DEEP = "[" * 5000 + "]" * 5000
LIES = {
    "nothing": b"",
    "words": b"Welcome, and \x1b]52;c;ZXZpbA==\x07\x1b[2J\n",
    "not UTF-8": b"\xff\xfe\x00",
    "a list": b"[1, 2]",
    "a number": b"12",
    "null": b"null",
    "an empty object": b"{}",
    "deep": DEEP.encode(),
    "deep inside": f'{{"http": {DEEP}, "files": {DEEP}, "digests": {DEEP}}}'.encode(),
    "no number": b'{"disk_free": NaN, "bytes": NaN, "http": {"a": {"seconds": NaN}}}',
    "half": b'{"cluster": "demo", "files": {"ca.crt": "',
    "wrong types": json.dumps({key: [{"x": [1]}] for key in KEYS}).encode(),
    "control characters": json.dumps({key: {"\x1b]0;x\x07": "\x1b[2J"} for key in KEYS}).encode(),
}


class Liar:
    """Answers every command with ``lie``, after a greeting."""

    def __init__(self, server):
        self.lie = b""
        self.endless = False
        self.inside = False
        """Whether answers of the agent have the right form, and the lie is in what its commands printed."""
        self.commands = []
        server.execute = self.execute

    def execute(self, channel, text):
        self.commands.append(text)
        mark = re.search(rb"started-[0-9a-f]+", text)[0] + b"\n"
        lie = self.lie
        if self.inside and b"python3" in text:
            lie = self._of_agent(channel)
        try:
            channel.sendall(b"Last login: \x1b[31mnever\n" + mark + lie)
            channel.sendall_stderr(mark)
            while self.endless:
                channel.sendall(b"x" * 32768)
            channel.send_exit_status(0)
            channel.close()
        except (OSError, EOFError):
            pass  # it was cut off

    def _of_agent(self, channel):
        said = b""
        while b"\n" not in said:
            said += channel.recv(32768)
        asked = json.loads(said.partition(b"\n")[0])
        text = self.lie.decode(errors="replace")
        http = {name: {"status": 200, "body": text, "error": "", "seconds": 0.1} for name in asked["http"]}
        run = {name: {"rc": 0, "stdout": text, "stderr": text, "seconds": 0.1} for name in asked["run"]}
        return json.dumps({"http": http, "run": run, "certificates": {"/etc/x.crt": text}}).encode()


@pytest.fixture
def liar(server):
    return Liar(server)


@pytest.fixture
def plan(server, key, known_hosts, tmp_path, liar):
    plan = build_plan(Cluster.model_validate(CONFIG), tmp_path / "cluster.yaml")
    target = target_of(server, key, known_hosts)
    learn(target, server)
    return replace(plan, hosts=tuple(replace(host, ssh=target) for host in plan.hosts))


@pytest.fixture
def ask(plan, tmp_path):
    """Ask hosts in one of the places."""
    with Pool() as pool:
        yield lambda place: place(plan, pool, tmp_path)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(framework, "SETTLE", 0.0)


def preflight(plan, pool, _):
    report = run_preflight(plan, pool)
    raise HostError("\n".join(f"{result.host}: {result.message}" for result in report.failures))


def drift(plan, pool, _):
    raise look_at_hosts(plan, pool).unreachable["m1"]


def authorities(plan, pool, folder):
    if recover_pki(plan, pool, State(folder / ".k8sbootstrap" / "demo"), lambda _: True) is None:
        raise HostError("m1 has none")


def status(plan, pool, _):
    collect(plan, pool)


def verification(plan, pool, _):
    report = run_verify(plan, pool)
    raise HostError("\n".join(f"{result.host}: {result.message}" for result in report.failures))


def running(plan, pool, _):
    (host,) = look_at(plan, pool).status.hosts
    raise HostError(f"{host.name}: {host.error}")


def snapshot(plan, pool, _):
    member = SimpleNamespace(healthy=True, leader=False, learner=False, host="m1")
    upgrade = PendingUpgrade("1.37.0", ("1.36.2",), "3.4.13", (), (), (), (), 1)
    take_before_upgrade(plan, pool, Running(SimpleNamespace(etcd=(member,))), upgrade)


def boot(plan, pool, _):
    boots(plan.hosts, pool)


PLACES = [preflight, drift, authorities, status, verification, running, snapshot, boot]
"""Every place that asks hosts."""


def files_below(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_a_lie_ends_in_an_error_that_names_the_host(ask, liar, tmp_path, place, lie):
    liar.lie = LIES[lie]
    before = files_below(tmp_path)
    with pytest.raises(K8sBootstrapError, match="m1") as raised:
        ask(place)
    assert files_below(tmp_path) == before
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", str(raised.value))
    assert liar.commands


INSIDE = LIES | {
    "nodes": json.dumps({"items": [{"metadata": {"name": "m1"}, "status": [], "spec": 1}]}).encode(),
    "nodes of other types": json.dumps({"items": [{"metadata": {"name": ["m1"]}}]}).encode(),
    "conditions": json.dumps(
        {"items": [{"metadata": {"name": "m1", "annotations": 3}, "status": {"conditions": [{}]}}]}
    ).encode(),
    "no items": json.dumps({"items": {"a": 1}}).encode(),
    "members": json.dumps({"members": [{"ID": "x", "peerURLs": 3}]}).encode(),
    "etcd": json.dumps([{"Status": {"header": [], "raftTerm": []}}]).encode(),
    "etcd of other types": json.dumps(
        [
            {
                "Status": {
                    "header": {"member_id": "a", "cluster_id": []},
                    "raftTerm": "b",
                    "version": 1,
                    "dbSize": "x",
                }
            }
        ]
    ).encode(),
    "a certificate": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "a version": json.dumps({"gitVersion": [1]}).encode(),
    "units": b"Id=\x1b[2J\nActiveState\n\nId=a=b\n\n",
}


@pytest.mark.parametrize("lie", INSIDE)
@pytest.mark.parametrize("place", [status, verification, running], ids=lambda place: place.__name__)
def test_a_lie_inside_of_an_answer_ends_in_words(ask, liar, tmp_path, place, lie):
    """Where the answer has the right form, and what programs printed there has not."""
    liar.inside = True
    liar.lie = INSIDE[lie]
    before = files_below(tmp_path)
    with suppress(K8sBootstrapError):
        ask(place)
    assert files_below(tmp_path) == before


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_an_answer_without_end_is_cut_off(ask, liar, monkeypatch, place):
    monkeypatch.setattr(command, "MAX_OUT", 1 << 20)
    liar.endless = True
    started = time.monotonic()
    with pytest.raises(K8sBootstrapError, match=r"(?s)m1.*(does not stop writing|has none)"):
        ask(place)
    assert time.monotonic() - started < 25


@pytest.mark.parametrize("name", ["/etc/passwd", "../../../.bashrc", "ca.srl", "etcd/../../x"])
def test_other_names_than_those_of_authorities_are_refused(ask, liar, tmp_path, name):
    answer = {"cluster": "demo", "files": dict.fromkeys([*KEPT, name], "AAAA")}
    liar.lie = json.dumps(answer).encode()
    before = files_below(tmp_path)
    with pytest.raises(HostError, match="m1: its answer can't be used"):
        ask(authorities)
    assert files_below(tmp_path) == before


def test_a_greeting_is_passed_over(target, server):
    shell = Path(server.environment["PATH"].partition(":")[0]) / "env"
    shell.write_text('#!/bin/sh\necho Welcome; echo Authorised use only >&2\nexec /usr/bin/env "$@"\n')
    shell.chmod(0o755)
    with SSHSession(target) as session:
        ran = session.run("echo out; echo err >&2")
    assert (ran.stdout, ran.stderr) == ("out\n", "err\n")


ASKS = {
    "hosts/ask.py": "session",
    "hosts/command.py": "channel",
    "hosts/client.py": "exchange",
    "survey/cluster/kubectl.py": "self._hosts",
}
"""Where a method run is one that asks a host."""
OTHERS = {"pki/issue.py": "_Issuer", "checks/cluster/run.py": "_Verification"}
"""Where it is something else."""
OWN_JSON = {"addons", "artifacts", "catalog", "cli", "config", "formats", "lab", "inventory", "report", "run"}
"""Packages whose JSON is this machine's own, a mirror's, or the user's."""


def test_hosts_are_asked_in_one_place_only():
    """A new question can't be added without coming under these tests."""
    asked, parsed = [], []
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).as_posix()
        if name.startswith(("lab/", "hosts/scripts/")):
            continue  # what runs on a host itself
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner = ast.unparse(node.func.value).partition("(")[0]
            known = {"subprocess", "asking", ASKS.get(name), OTHERS.get(name)}
            if node.func.attr in {"run", "exec_command"} and owner not in known:
                asked.append(f"{name}:{node.lineno}: {ast.unparse(node.func)}")
            reads = (owner, node.func.attr) == ("json", "loads")
            if reads and name.partition("/")[0] not in OWN_JSON:
                parsed.append(f"{name}:{node.lineno}")
    assert asked == []
    assert parsed == []
