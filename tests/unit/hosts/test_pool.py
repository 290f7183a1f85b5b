import pytest

from k8sbootstrap.errors import HostError
from k8sbootstrap.hosts.answers import Request, Run, RunAnswer
from k8sbootstrap.hosts.pool import Hosts
from tests.unit.checks.cluster.healthy import make_plan
from tests.unit.hosts.sessions import LocalSession, ScriptedSession, unreachable


@pytest.fixture
def targets(tmp_path):
    return [host.ssh for host in make_plan(tmp_path).hosts]


def test_all_hosts_answer_over_one_connection_each(targets):
    opened = []

    def connect(target):
        opened.append(LocalSession(target))
        return opened[-1]

    requests = {target.host: Request(run={"say": Run(("echo", target.host))}) for target in targets}
    with Hosts(targets, connect) as hosts:
        for _ in range(2):
            answers = hosts.ask_all(requests)
            assert {name: answer.run["say"].stdout.strip() for name, answer in answers.items()} == {
                target.host: target.host for target in targets
            }
    assert sorted(session.target.host for session in opened) == ["m1", "m2", "m3", "w1", "w2"]
    assert all(session.closed for session in opened)


def test_a_host_that_cannot_be_reached_is_lost_and_not_tried_again(targets):
    tried = []

    def connect(target):
        tried.append(target.host)
        return unreachable(target) if target.host == "m2" else LocalSession(target)

    with Hosts(targets, connect) as hosts:
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
    with Hosts(targets, lambda target: ScriptedSession(target, lambda *_: reply)) as hosts:
        assert hosts.ask_all({"w1": Request()}) == {}
        assert words in hosts.lost["w1"]
