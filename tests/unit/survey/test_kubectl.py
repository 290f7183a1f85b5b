"""kubectl on whichever master answers; what it says when its API server is gone was recorded."""

import json
import shlex

import pytest

from k8sbootstrap.errors import HostError
from k8sbootstrap.hosts.answers import RunAnswer, RunCommand
from k8sbootstrap.hosts.pool import Hosts, Pool
from k8sbootstrap.survey.cluster.kubectl import ApiUnavailableError, Kubectl, KubectlError, unavailable
from tests.unit.hosts.sessions import ScriptedSession

REFUSED = RunAnswer(
    1, "", "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?"
)
NODES = RunAnswer(0, '{"items": []}', "")
MASTERS = ["m1", "m2", "m3"]


def kubectl(plan, replies, asked):
    def reply(host, command, stdin):
        asked.append(host)
        if isinstance(replies[host], HostError):
            raise replies[host]
        return replies[host]

    hosts = Hosts(Pool(lambda target: ScriptedSession(target, reply)), (host.ssh for host in plan.hosts))
    return Kubectl(hosts, MASTERS)


def test_the_next_master_is_asked_when_one_is_dead_or_its_api_server_is(plan):
    asked = []
    runner = kubectl(plan, {"m1": HostError("m1: timed out"), "m2": REFUSED, "m3": NODES}, asked)
    assert runner.json("get", "nodes") == {"items": []}
    assert asked == MASTERS
    runner.json("get", "nodes")
    assert asked == [*MASTERS, "m3"]  # the one that answered comes first from then on


def test_no_master_answers(plan):
    runner = kubectl(plan, {"m1": HostError("m1: timed out"), "m2": REFUSED, "m3": REFUSED}, [])
    with pytest.raises(ApiUnavailableError) as error:
        runner.json("get", "nodes")
    for words in ("m1: timed out", "m2: The connection to the server", "m3: The connection"):
        assert words in str(error.value)


def test_a_refusal_is_final(plan):
    asked = []
    forbidden = RunAnswer(1, "", 'Error from server (Forbidden): nodes is forbidden: User "x" cannot list')
    runner = kubectl(plan, {"m1": forbidden, "m2": NODES}, asked)
    with pytest.raises(KubectlError, match="Forbidden"):
        runner.json("get", "nodes")
    assert asked == ["m1"]


def test_preferred_masters_come_first(plan):
    asked = []
    runner = kubectl(plan, dict.fromkeys(MASTERS, NODES), asked)
    runner.prefer(["m3", "m2"])
    runner.json("get", "nodes")
    assert asked == ["m2"]


def batch_reply(answers):
    run = {name: {"rc": a.rc, "stdout": a.stdout, "stderr": a.stderr} for name, a in answers.items()}
    return RunAnswer(0, json.dumps({"http": {}, "run": run, "certificates": {}}), "")


def test_a_batch_moves_on_only_when_the_api_server_is_gone(plan):
    asked = []
    failed = RunAnswer(1, "", "Error from server: container not found")
    mixed = batch_reply({"a": REFUSED, "b": failed})
    runner = kubectl(plan, {"m1": batch_reply({"a": REFUSED, "b": REFUSED}), "m2": mixed, "m3": NODES}, asked)
    assert runner.batch({"a": RunCommand(("x",)), "b": RunCommand(("y",))})["b"] == failed
    assert asked == ["m1", "m2"]


def test_arguments_survive_the_shell(plan):
    commands = []

    def reply(host, command, stdin):
        commands.append(command)
        return NODES

    hosts = Hosts(Pool(lambda target: ScriptedSession(target, reply)), (host.ssh for host in plan.hosts))
    Kubectl(hosts, MASTERS).text("get", "pods", "--selector=a in (b, c)")
    script = shlex.split(commands[0])[2]
    assert script.endswith("\nkubectl get pods '--selector=a in (b, c)'")
    assert "--kubeconfig=/etc/kubernetes/admin.conf" in script


@pytest.mark.parametrize(
    ("words", "gone"),
    [
        (REFUSED.stderr, True),
        ("Unable to connect to the server: dial tcp 127.0.0.1:6443: i/o timeout", True),
        ("Unable to connect to the server: net/http: TLS handshake timeout", True),
        ("Error from server: etcdserver: request timed out", True),
        ('Error from server (NotFound): namespaces "x" not found', False),
        ("error: unable to upgrade connection: Forbidden", False),
    ],
)
def test_which_words_mean_that_the_api_server_is_gone(words, gone):
    assert unavailable(RunAnswer(1, "", words)) is gone
    assert not unavailable(RunAnswer(0, "", words))
