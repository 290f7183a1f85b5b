"""What hosts will report once others have left, and what that means for those that stay."""

from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.errors import HostError
from k8sbootstrap.inventory.build import build_inventory
from k8sbootstrap.pki.issue import ensure_pki
from k8sbootstrap.plan.build import build_plan, load_plan
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.plan.phases import OF_ALL_HOSTS
from k8sbootstrap.state import State
from k8sbootstrap.survey.departed import of_departure, without
from k8sbootstrap.survey.etcd_members import EtcdReport, Living, Member
from k8sbootstrap.survey.etcd_voters import Voters, leaving
from k8sbootstrap.survey.record import HostFinding
from k8sbootstrap.survey.todo import HostFindings, Survey, Work
from tests.cluster_yaml import cluster_yaml
from tests.unit.inventory.clusters import fetched

NAMES = ("m1", "m2", "m3", "w1")


@pytest.fixture
def plan(tmp_path: Path) -> ClusterPlan:
    (tmp_path / "cluster.yaml").write_text(cluster_yaml(*NAMES, "w2"))
    return load_plan(tmp_path / "cluster.yaml")


def found() -> HostFinding:
    members = tuple(Member(f"{n}", f"m{n}", (f"https://10.0.0.1{n}:2380",), started=True) for n in (1, 2, 3))
    fields: dict[str, Any] = {
        "cluster": "demo",
        "digests": {},
        "drift": {},
        "routes": {},
        "pod_cidrs": dict.fromkeys(NAMES, "10.244.0.0/24"),
        "api_error": "",
        "addresses": dict.fromkeys(NAMES, "10.0.0.9"),
        "cordoned": {"m2": "remove", "w1": "stop"},
        "etcd": EtcdReport(living=Living("aa", members, 1, 1)),
    }
    return HostFinding(**fields)


def test_nodes_and_members_are_gone_with_their_hosts(plan: ClusterPlan) -> None:
    gone = [host for host in plan.hosts if host.name == "m2"]
    before = HostFindings({"m1": found(), "m2": found()}, {"m3": HostError("down"), "m2": HostError("down")})
    after = without(before, gone, ["m1", "m3", "w1"])
    assert list(after.findings) == ["m1"]
    assert list(after.unreachable) == ["m3"]
    said = after.findings["m1"]
    assert list(said.pod_cidrs or ()) == list(said.addresses) == ["m1", "m3", "w1"]
    assert said.cordoned == {"w1": "stop"}
    assert said.etcd.living is not None
    assert [member.name for member in said.etcd.living.members] == ["m1", "m3"]


def test_only_what_follows_from_it_is_done() -> None:
    work = Work(("configuration",))
    survey = Survey({"m1": {"etcd": work, "kubelet": work}, "w1": {"kubelet": work}})
    assert of_departure(survey).work == {"m1": {"etcd": work}}


def test_no_other_role_names_other_hosts(plan: ClusterPlan, tmp_path: Path) -> None:
    """Without a master and a worker, the digests of these roles alone are others on hosts that stay."""
    state = State.beside(tmp_path / "cluster.yaml", "demo")
    ensure_pki(plan, state)
    hosts = [host for host in plan.config.hosts if host.name not in {"m1", "w2"}]
    rest = build_plan(plan.config.model_copy(update={"hosts": hosts}), tmp_path / "cluster.yaml")
    files = fetched(plan)
    before, after = (build_inventory(each, state, files).digests for each in (plan, rest))
    changed = {
        role
        for host in rest.hosts
        for role, digest in after[host.name].items()
        if before[host.name][role] != digest
    }
    assert changed
    assert changed <= set(OF_ALL_HOSTS)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (Voters(3, 3), Voters(2, 2), "3 members, of which 1 may fail, become 2, of which 0 may fail"),
        (
            Voters(3, 2),
            Voters(2, 2),
            "3 members (1 of them is not healthy), of which 0 more may fail, become 2, of which 0 may fail",
        ),
        (Voters(2, 2), Voters(1, 1), "2 members, of which 0 may fail, become 1, of which 0 may fail"),
    ],
)
def test_the_words_about_etcd(before: Voters, after: Voters, words: str) -> None:
    assert leaving("m2", before, after) == f"etcd: m2 leaves: {words}"
