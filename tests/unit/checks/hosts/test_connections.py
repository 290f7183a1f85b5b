"""Whether hosts reach each other: who is to connect where, what hosts are asked, and what is said of it."""

import json
from dataclasses import replace

import pytest

from k8sbootstrap.checks.framework import Status
from k8sbootstrap.checks.hosts.base import HostCase, Seen
from k8sbootstrap.checks.hosts.connections import connections as judge
from k8sbootstrap.errors import HostError
from k8sbootstrap.hosts.answers import RunAnswer
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.connections import Connection, connections
from k8sbootstrap.survey.connections import Blocked, Tried, try_connections
from k8sbootstrap.survey.facts import parse
from tests.unit.hosts.sessions import ScriptedSession

HOSTS = [
    {"name": "m1", "address": "192.0.2.11", "roles": ["master"]},
    {"name": "m2", "address": "192.0.2.12", "roles": ["master"]},
    {"name": "w1", "address": "192.0.2.13", "roles": ["worker"]},
]
RULES = (
    "iptables -P INPUT DROP",
    "iptables -A INPUT -p tcp -m multiport --dports 80,6443 -j DROP",
    "iptables -A INPUT -p tcp -m tcp --dport 16443 -j DROP",
)


@pytest.fixture
def plan(make_plan):
    return make_plan(hosts=HOSTS)


def ports(plan, source, target):
    return {
        (each.protocol, each.port)
        for each in connections(plan, plan.hosts)
        if (each.source, each.target) == (source, target)
    }


def test_who_connects_where(plan):
    assert ports(plan, "m1", "m2") == {("tcp", 2379), ("tcp", 2380), ("tcp", 6443), ("tcp", 10250)}
    assert ports(plan, "m1", "w1") == {("tcp", 10250)}
    assert ports(plan, "w1", "m1") == {("tcp", 6443)}
    assert ports(plan, "m1", "m1") == set()


def test_who_connects_to_etcd_on_hosts_of_its_own(make_plan):
    plan = make_plan(hosts=[*HOSTS, {"name": "e1", "address": "192.0.2.14", "roles": ["etcd"]}])
    assert ports(plan, "m1", "e1") == {("tcp", 2379)}
    assert ports(plan, "m1", "m2") == {("tcp", 6443), ("tcp", 10250)}
    assert ports(plan, "e1", "m1") == ports(plan, "w1", "e1") == set()


@pytest.mark.parametrize(
    ("network", "wanted"),
    [
        ({"plugin": "flannel"}, {("udp", 8472)}),
        ({"plugin": "flannel", "flannel": {"backend": "host-gw"}}, set()),
        ({"plugin": "calico"}, {("tcp", 179)}),
        ({"plugin": "calico", "calico": {"encapsulation": "vxlan"}}, {("udp", 4789)}),
        ({"plugin": "cilium", "cilium": {"routing": "geneve"}}, {("tcp", 4240), ("udp", 6081)}),
    ],
)
def test_what_pod_networks_send(make_plan, network, wanted):
    plan = make_plan(hosts=HOSTS, network=network)
    assert ports(plan, "w1", "m1") == {("tcp", 6443), *wanted}


@pytest.fixture
def ask(plan):
    """Have hosts try, with these answers by host and step; returns what came of it, and what was asked."""

    def run(answers, **more):
        asked = []

        def reply(host, _command, stdin):
            wanted = json.loads(stdin.partition("\n")[0])
            asked.append((host, wanted))
            said = answers.get((host, wanted["do"]), {"busy": [], "rules": [], "failed": {}})
            if isinstance(said, Exception):
                raise said
            fields = {"listen": ("busy", "rules"), "connect": ("failed",), "stop": ()}[wanted["do"]]
            return RunAnswer(0, json.dumps({key: said.get(key, []) for key in fields}), "")

        with Pool(lambda target: ScriptedSession(target, reply)) as pool:
            return try_connections(plan, pool, plan.hosts, **more), asked

    return run


def test_all_listen_then_all_connect_then_all_stop(ask):
    tried, asked = ask({})
    assert tried.blocked == ()
    steps = [step["do"] for _, step in asked]
    assert steps == ["listen"] * 3 + ["connect"] * 3 + ["stop"] * 3
    listens = {host: step["ports"] for host, step in asked if step["do"] == "listen"}
    assert listens["w1"] == [["tcp", 10250]]
    connects = {host: step["to"] for host, step in asked if step["do"] == "connect"}
    assert connects["w1"] == [["192.0.2.11", "tcp", 6443], ["192.0.2.12", "tcp", 6443]]


def test_what_fails_is_said_of_its_connection(ask):
    tried, _ = ask(
        {("w1", "connect"): {"failed": {"1": "no answer\x1b[31m"}}, ("m2", "listen"): {"rules": ["-P DROP"]}}
    )
    (blocked,) = tried.blocked
    assert blocked.connection == Connection("w1", "m2", "tcp", 6443, "kube-apiserver")
    assert "\x1b" not in blocked.reason
    assert tried.rules["m2"] == ("-P DROP",)


def test_a_port_that_only_its_own_host_may_use_is_not_blocked(ask):
    """The load balancer of a worker that becomes a master."""
    refused = {("w1", "connect"): {"failed": {"1": "Connection refused"}}}
    assert len(ask(refused)[0].blocked) == 1
    assert ask({**refused, ("m2", "listen"): {"busy": [["tcp", 6443]]}})[0].blocked == ()


def test_what_can_not_be_asked_is_not_known(ask):
    tried, asked = ask({("m2", "listen"): HostError("m2: gone"), ("w1", "connect"): HostError("w1: gone")})
    assert tried.blocked == ()
    assert {each.target for each in tried.tried} == {"m1", "w1"}
    assert [step["do"] for _, step in asked].count("stop") == 3


def test_hosts_to_leave_out(ask):
    tried, asked = ask({}, but_not_to=["m1", "m2", "w1"])
    assert (tried, asked) == (Tried(), [])


@pytest.fixture
def verdict(plan, recording):
    def of(tried, **facts):
        seen = {name: Seen(parse(recording(**facts)), 1000.0, 1001.0) for name in ("m1", "m2", "w1")}
        return judge(HostCase(plan, plan.hosts[0], seen, tried))

    return of


def test_what_is_said(plan, verdict):
    tried = Tried(tuple(connections(plan, plan.hosts)))
    assert verdict(tried).message == "2379/tcp, 2380/tcp, 6443/tcp, 10250/tcp"
    assert verdict(Tried()).message == "no other host connects to it"
    assert verdict(Tried(), firewalld=True).status is Status.SKIPPED
    silent = "no answer in 5 s"
    api = [each for each in tried.tried if each.target == "m1" and each.port == 6443]
    other = [each for each in tried.tried if each.target == "w1"]
    blocked = tuple(Blocked(each, silent) for each in (*api, *other))
    said = verdict(replace(tried, blocked=blocked, rules={"m1": RULES}))
    assert said.status is Status.FAILED
    assert said.message == (
        "hosts can't connect to 192.0.2.11: 6443/tcp (kube-apiserver) from m2 and w1: no answer in 5 s"
    )
    assert said.fix == (
        "Open these ports on m1, and in firewalls between the hosts. These rules of m1 may block them: "
        "iptables -P INPUT DROP; iptables -A INPUT -p tcp -m multiport --dports 80,6443 -j DROP."
    )


def test_a_running_cluster_is_warned(plan, verdict, recording):
    tried = Tried(tuple(connections(plan, plan.hosts)))
    blocked = tuple(Blocked(each, "no answer in 5 s") for each in tried.tried if each.target == "m1")
    record = json.loads(recording("master"))["record"]
    assert verdict(replace(tried, blocked=blocked), record=record).status is Status.WARNING
