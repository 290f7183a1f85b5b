"""What is to do, from what hosts said: which roles, where and why."""

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.errors import HostError
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.changes import Change
from k8sbootstrap.plan.firewall import firewall
from k8sbootstrap.plan.models import ClusterPlan, UnplannedNode
from k8sbootstrap.plan.phases import CLUSTER_ROLES, PHASES, runs_on
from k8sbootstrap.survey import todo_text
from k8sbootstrap.survey.etcd_members import EtcdReport
from k8sbootstrap.survey.nodes import with_unplanned
from k8sbootstrap.survey.record import HostFinding
from k8sbootstrap.survey.todo import HostFindings, Survey, compare
from k8sbootstrap.survey.upgrade.find import may_be_upgrade
from tests.cluster_yaml import cluster_yaml

CLUSTER = cluster_yaml("master1", "master2", "master3", "worker1")
CIDRS = {
    f"{kind}{number}": f"10.244.{i}.0/24"
    for i, (kind, number) in enumerate([("master", 1), ("master", 2), ("master", 3), ("worker", 1)])
}
GONE = Change(text="/etc/x changed", kind="file", action="change", name="/etc/x", causes=("drift",))


@pytest.fixture
def plan(tmp_path: Path) -> ClusterPlan:
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    return load_plan(tmp_path / "cluster.yaml")


def wanted(plan: ClusterPlan) -> dict[str, dict[str, str]]:
    roles = [role for phase in PHASES for role in phase.roles]
    return {
        host.name: {role: f"{role} of {host.name}" for role in roles if runs_on(role, plan, host)}
        for host in plan.hosts
    }


def found(plan: ClusterPlan, name: str, **other: Any) -> HostFinding:
    """A host where all is as it should be, but for ``other``."""
    addresses = {str(host.private_address): CIDRS[host.name] for host in plan.hosts if host.name != name}
    digests = {
        role: digest
        for role, digest in wanted(plan)[name].items()
        if name == "master1" or role not in CLUSTER_ROLES
    }
    cidrs = CIDRS if name.startswith("master") else None
    fields: dict[str, Any] = {
        "cluster": "demo",
        "digests": digests,
        "drift": {},
        "routes": addresses,
        "own_range": CIDRS[name],
        "pod_cidrs": cidrs,
        "api_error": "",
    }
    return HostFinding(**fields | other)


def seen(plan: ClusterPlan, **hosts: Any) -> Survey:
    """``hosts``: what differs there; None for one that did not answer."""
    findings = {
        host.name: found(plan, host.name, **hosts.get(host.name, {}))
        for host in plan.hosts
        if hosts.get(host.name, {}) is not None
    }
    lost = {name: HostError(f"{name}: no answer") for name, other in hosts.items() if other is None}
    return compare(plan, wanted(plan), HostFindings(findings, lost))


def todo(survey: Survey) -> dict[str, dict[str, tuple[str, ...]]]:
    return {host: {role: why.causes for role, why in roles.items()} for host, roles in survey.work.items()}


def test_nothing(plan: ClusterPlan) -> None:
    survey = seen(plan)
    assert (survey.settled, survey.exists, todo_text.summary(survey)) == (True, True, [])


def test_bare_hosts(plan: ClusterPlan) -> None:
    bare = {"cluster": "", "digests": {}, "routes": {}, "pod_cidrs": None}
    survey = seen(plan, **{host.name: bare for host in plan.hosts})
    assert not survey.exists
    assert list(survey.work["master1"]) == [
        role
        for phase in PHASES
        for role in phase.roles
        if role not in {"api_loadbalancer", "api_virtual_ip", "image_registry", "retired"}
    ]
    assert "cluster_rbac" not in survey.work["master2"]
    assert todo_text.summary(survey)[3] == "worker1: everything (a new host)"


def test_other_inputs_and_drift_are_told_apart(plan: ClusterPlan) -> None:
    digests = wanted(plan)["worker1"] | {"kubelet": "before"}
    survey = seen(plan, worker1={"digests": digests, "drift": {"kubelet": (GONE,), "host": (GONE,)}})
    assert todo(survey) == {"worker1": {"host": ("drift",), "kubelet": ("configuration", "drift")}}
    both = "cluster.yaml or k8sbootstrap changed, changed on the host: /etc/x"
    assert todo_text.summary(survey) == [f"worker1: host (changed on the host: /etc/x); kubelet ({both})"]


def test_objects_concern_the_master_that_applied_them(plan: ClusterPlan) -> None:
    survey = seen(plan, master1={"drift": {"node_settings": (GONE,)}})
    assert todo(survey) == {"master1": {"node_settings": ("drift",)}}


def test_another_master_takes_over_where_the_one_that_applied_objects_is_gone(plan: ClusterPlan) -> None:
    survey = seen(plan, master1=None)
    assert todo(survey) == {"master2": dict.fromkeys(CLUSTER_ROLES, ("new",))}
    assert todo_text.summary(survey)[-1] == "not reached: master1: no answer"


def test_an_api_that_does_not_answer_is_asked_again_by_the_run(plan: ClusterPlan) -> None:
    survey = seen(plan, master1={"api_error": "connection refused", "pod_cidrs": None})
    assert todo(survey) == {"master1": dict.fromkeys(CLUSTER_ROLES, ("unknown",))}
    assert "(not known: connection refused)" in todo_text.summary(survey)[0]


def test_masters_whose_api_does_not_answer_are_asked_nothing(plan: ClusterPlan) -> None:
    down = {"api_error": "connection refused", "pod_cidrs": None}
    assert seen(plan, master2=down).without_api == ("master2",)
    assert seen(plan, master1=None, master2=down, master3=down).without_api == ()
    assert seen(plan).without_api == ()


def test_a_node_that_came_back_with_another_pod_cidr(plan: ClusterPlan) -> None:
    """Itself gives its pods other addresses, and all the others route there."""
    survey = seen(plan, master1={"pod_cidrs": CIDRS | {"worker1": "10.244.9.0/24"}})
    assert todo(survey) == {host.name: {"pod_network": ("cluster",)} for host in plan.hosts}


def test_only_masters_say_what_nodes_there_are(plan: ClusterPlan) -> None:
    lies = dict.fromkeys(CIDRS, "10.244.99.0/24")
    assert seen(plan, worker1={"pod_cidrs": lies}).settled
    known = {"pod_cidrs": CIDRS | {"worker1": "10.244.9.0/24"}}
    survey = seen(plan, master1=None, master2=known)
    assert "pod_network" in survey.work["worker1"]


@pytest.mark.parametrize(
    ("reason", "work", "words"),
    [
        ("1.37.2", {"kubelet": ("upgrade",)}, "kubelet (still cordoned by an upgrade)"),
        ("", {"kubelet": ("upgrade",)}, "kubelet (still cordoned by an upgrade)"),
        ("remove", {"node_uncordon": ("remove",)}, "node_uncordon (still cordoned by k8sbootstrap remove)"),
        (
            "reboot:1f",
            {"node_uncordon": ("reboot",)},
            "node_uncordon (still cordoned by k8sbootstrap reboot)",
        ),
        ("stop", {"node_uncordon": ("stop",)}, "node_uncordon (stopped by k8sbootstrap stop)"),
    ],
)
def test_a_node_that_a_stopped_command_left_cordoned(
    plan: ClusterPlan, reason: str, work: dict[str, tuple[str, ...]], words: str
) -> None:
    survey = seen(plan, master1={"cordoned": {"worker1": reason}})
    assert todo(survey) == {"worker1": work}
    assert todo_text.summary(survey) == [f"worker1: {words}"]
    assert may_be_upgrade(survey) is ("kubelet" in work)


def test_only_masters_say_which_nodes_are_cordoned(plan: ClusterPlan) -> None:
    assert seen(plan, worker1={"cordoned": {"worker1": "remove"}}).settled
    assert seen(plan, worker1=None, master1={"cordoned": {"worker1": "remove"}}).settled


@pytest.mark.parametrize("stopped", [False, True])
def test_a_node_that_was_deleted(plan: ClusterPlan, *, stopped: bool) -> None:
    """Its kubelet registers it again; it gets another range, and its labels and taints anew."""
    left = {name: cidr for name, cidr in CIDRS.items() if name != "worker1"}
    down = {"drift": {"kubelet": (GONE,)}} if stopped else {}
    masters = {f"master{number}": {"pod_cidrs": left} for number in (1, 2, 3)}
    survey = seen(plan, **masters, worker1=down)
    assert todo(survey)["worker1"] == {
        "kubelet": (*(("drift",) if stopped else ()), "cluster"),
        "pod_network": ("cluster",),
    }
    assert todo(survey)["master1"] == {"pod_network": ("cluster",), "node_settings": ("cluster",)}
    assert todo(survey)["master2"] == {"pod_network": ("cluster",)}
    assert "kubelet (" in todo_text.summary(survey)[-1]
    assert "changed in the cluster: worker1" in todo_text.summary(survey)[-1]
    assert not survey.settled
    # others have dropped the route already, and a host that never joined is no lost node
    dropped = {str(host.private_address): CIDRS[host.name] for host in plan.hosts if host.name in left}
    masters = {
        name: {"pod_cidrs": left, "routes": {a: c for a, c in dropped.items() if c != CIDRS[name]}}
        for name in masters
    }
    assert not seen(plan, **masters).settled
    assert "worker1" not in todo(seen(plan, **masters, worker1=None))


def test_a_node_that_a_failed_run_left_out(plan: ClusterPlan) -> None:
    """All else is as it should be: the run that joins it also labels it, and gives others its route."""
    left = {name: cidr for name, cidr in CIDRS.items() if name != "worker1"}
    dropped = {str(host.private_address): CIDRS[host.name] for host in plan.hosts if host.name in left}
    masters = {
        name: {"pod_cidrs": left, "routes": {a: c for a, c in dropped.items() if c != CIDRS[name]}}
        for name in ("master1", "master2", "master3")
    }
    bare = {"cluster": "", "digests": {}, "routes": {}, "own_range": ""}
    survey = seen(plan, **masters, worker1=bare)
    assert todo(survey)["worker1"]["kubelet"] == ("new",)
    assert todo(survey)["master1"] == {"pod_network": ("cluster",), "node_settings": ("new",)}
    assert todo(survey)["master2"] == {"pod_network": ("cluster",)}


EXTRA = {"pod_cidrs": CIDRS | {"worker2": "10.244.7.0/24"}, "addresses": {"worker2": "10.0.0.22"}}


def test_a_host_taken_out_of_the_file_stays_a_node(plan: ClusterPlan) -> None:
    masters = {f"master{number}": EXTRA for number in (1, 2, 3)}
    findings = {host.name: found(plan, host.name, **masters.get(host.name, {})) for host in plan.hosts}
    wider = with_unplanned(plan, findings)
    assert wider.unplanned_nodes == (
        UnplannedNode("worker2", IPv4Address("10.0.0.22"), IPv4Network("10.244.7.0/24")),
    )
    assert "10.0.0.22" in firewall(wider, wider.hosts[0])["sources"]
    survey = compare(wider, wanted(plan), HostFindings(findings))
    assert todo(survey) == {host.name: {"pod_network": ("cluster",)} for host in plan.hosts}
    assert todo_text.summary(survey)[-1].startswith(
        "worker2 (10.0.0.22) is a node of the cluster, but not in cluster.yaml"
    )
    routed = {
        name: HostFinding(**each.__dict__ | {"routes": each.routes | {"10.0.0.22": "10.244.7.0/24"}})
        for name, each in findings.items()
    }
    assert compare(wider, wanted(plan), HostFindings(routed)).settled


@pytest.mark.parametrize(
    ("name", "address", "cidr"),
    [
        ("worker2", "10.0.0.11", "10.244.7.0/24"),
        ("worker2", "10.244.3.1", "10.244.7.0/24"),
        ("worker2", "10.96.0.1", "10.244.7.0/24"),
        ("worker2", "10.0.0.22", "10.244.0.0/24"),
        ("worker2", "10.0.0.22", "0.0.0.0/0"),
        ("worker2", "x; reboot", "10.244.7.0/24"),
        ("w {{ lookup('pipe', 'id') }}", "10.0.0.22", "10.244.7.0/24"),
    ],
)
def test_what_a_node_says_of_itself_takes_nothing_from_others(
    plan: ClusterPlan, name: str, address: str, cidr: str
) -> None:
    told = {"pod_cidrs": CIDRS | {name: cidr}, "addresses": {name: address}}
    findings = {host.name: found(plan, host.name) for host in plan.hosts}
    findings["master1"] = found(plan, "master1", **told)
    assert with_unplanned(plan, findings).unplanned_nodes == ()


def test_only_a_firewall_that_runs_must_know_new_hosts(plan: ClusterPlan) -> None:
    right = firewall(plan, next(host for host in plan.hosts if host.name == "worker1"))
    fewer = right | {"sources": right["sources"][1:]}
    assert todo(seen(plan, worker1={"firewall": right})) == {}
    assert todo(seen(plan, worker1={"firewall": fewer})) == {"worker1": {"host": ("configuration",)}}


def test_a_worker_that_no_longer_needs_its_load_balancer(tmp_path: Path) -> None:
    text = CLUSTER.replace("hosts:", "api: {endpoint: 10.0.0.100}\nhosts:")
    (tmp_path / "cluster.yaml").write_text(text)
    plan = load_plan(tmp_path / "cluster.yaml")
    before = wanted(plan)["worker1"] | {"api_loadbalancer": "before"}
    drift = {"api_loadbalancer": (GONE,)}
    survey = seen(plan, worker1={"digests": before, "drift": drift})
    assert todo(survey) == {"worker1": {"retired": ("configuration",)}}
    assert seen(plan).settled


def test_masters_that_no_longer_have_a_virtual_ip(plan: ClusterPlan) -> None:
    before = wanted(plan)["master1"] | {"api_virtual_ip": "before"}
    assert todo(seen(plan, master1={"digests": before})) == {"master1": {"retired": ("configuration",)}}


MEMBER = {
    "cluster": "demo",
    "data": True,
    "members": {f"master{number}": f"10.0.0.1{number}" for number in (1, 2, 3)},
    "formed": True,
}


def test_a_member_that_never_started_has_all_hosts_asked_first(plan: ClusterPlan) -> None:
    begun = {"etcd": EtcdReport(**MEMBER | {"formed": False})}
    bare = {"etcd": EtcdReport()}
    survey = seen(plan, master1=begun, master2=begun, master3=bare, worker1=bare)
    assert survey.etcd_asked == ("master1", "master2", "master3", "worker1")
    assert survey.limited(["master3"]).etcd_asked == survey.etcd_asked


def test_limit(plan: ClusterPlan) -> None:
    drift = {"drift": {"host": (GONE,), "node_settings": (GONE,)}}
    survey = seen(plan, master1=drift, worker1={"drift": {"host": (GONE,)}})
    assert todo(survey.limited(["worker1"])) == {
        "master1": {"node_settings": ("drift",)},
        "worker1": {"host": ("drift",)},
    }


def test_routes_are_the_pod_networks_own_where_it_is_objects(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text(CLUSTER + "network: {plugin: flannel}\n")
    plan = load_plan(tmp_path / "cluster.yaml")
    assert seen(plan, worker1={"routes": {}}).settled
