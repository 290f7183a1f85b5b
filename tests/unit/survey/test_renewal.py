"""What a renewal of certificates does on hosts."""

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.errors import HostError
from k8sbootstrap.inventory.build import build_inventory
from k8sbootstrap.pki import table
from k8sbootstrap.pki.choice import Choice, Outlook
from k8sbootstrap.pki.issue import ensure_pki
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State
from k8sbootstrap.survey.record import HostFinding
from k8sbootstrap.survey.renewal import bounds, ends, lines, of_renewal, restarting_roles, with_all
from k8sbootstrap.survey.todo import Survey, Work
from tests.cluster_yaml import cluster_yaml
from tests.unit.inventory.clusters import fetched

WORK = Work(("configuration",))


@pytest.fixture
def plan(tmp_path: Path) -> ClusterPlan:
    (tmp_path / "cluster.yaml").write_text(cluster_yaml("m1", "m2", "m3", "w1", registry="{host: w1}"))
    return load_plan(tmp_path / "cluster.yaml")


def finding(*roles: str) -> HostFinding:
    fields: dict[str, Any] = {"drift": {}, "routes": {}, "pod_cidrs": None, "api_error": ""}
    return HostFinding(cluster="demo", digests=dict.fromkeys(roles, ""), **fields)


def outlook(plan: ClusterPlan, *names: str) -> Outlook:
    """Those certificates of the table are due that have these names."""
    entries = [entry for entry in table.entries(plan) if entry.name.rpartition("/")[2] in names]
    assert entries
    return Outlook(tuple(entries), {}, ())


def test_a_renewal_changes_no_digest(plan: ClusterPlan, tmp_path: Path) -> None:
    """So hosts with other certificates that say the same have nothing to do, whoever made these."""
    state = State.beside(tmp_path / "cluster.yaml", "demo")
    ensure_pki(plan, state)
    files = fetched(plan)
    before = build_inventory(plan, state, files).digests
    ensure_pki(plan, state, Choice(every=True))
    assert build_inventory(plan, state, files).digests == before
    (state.pki / "ca.crt").write_bytes(b"another")
    assert build_inventory(plan, state, files).digests != before


def test_only_roles_that_copy_certificates_and_were_there_run() -> None:
    survey = Survey(
        {"m1": {"host": WORK, "etcd": WORK, "kubelet": WORK}, "w1": {"kubelet": WORK}, "w2": {"host": WORK}},
        {"w3": HostError("gone")},
    )
    findings = {"m1": finding("host", "etcd"), "w1": finding("kubelet"), "w2": finding("host")}
    kept = of_renewal(survey, findings)
    assert kept == replace(survey, work={"m1": {"etcd": WORK}, "w1": {"kubelet": WORK}})
    assert of_renewal(survey, findings, ["w1"]).work == {"w1": {"kubelet": WORK}}


def test_all_roles_that_copy_certificates_and_were_there_run() -> None:
    drift = Work(("drift",))
    findings = {"m1": finding("host", "etcd", "kubelet"), "w1": finding("kubelet"), "w2": finding("host")}
    renewal = Work(("renewal",))
    survey = Survey({"m1": {"kubelet": drift}})
    assert with_all(survey, findings).work == {
        "m1": {"etcd": renewal, "kubelet": drift},
        "w1": {"kubelet": renewal},
    }
    assert with_all(survey, findings, ["w1"]).work == {"w1": {"kubelet": renewal}}


def test_the_first_to_end_counts() -> None:
    findings = {
        "m1": replace(finding(), certificates={"a": 5.0, "b": 7.0}),
        "m2": replace(finding(), certificates={"a": 6.0, "b": 3.0}),
    }
    assert ends(findings) == {"a": 5.0, "b": 3.0}
    assert ends(findings, ["m2"]) == {"a": 6.0, "b": 3.0}


def test_roles_that_restart_something_run_on_one_host_after_another(plan: ClusterPlan) -> None:
    assert restarting_roles(plan) == {
        "kube_controller_manager",
        "kube_scheduler",
        "image_registry",
    }


def test_what_is_said_of_services_that_read_again(plan: ClusterPlan) -> None:
    assert lines(plan, outlook(plan, "apiserver", "kubelet-serving", "apiserver-etcd-client")) == [
        "m1: apiserver, kubelet-serving",
        "m2: apiserver, kubelet-serving",
        "m3: apiserver, kubelet-serving",
        "w1: kubelet-serving",
        "shared by hosts: apiserver-etcd-client",
        "no service restarts: all read their files again",
    ]


def test_what_is_said_of_services_that_restart(plan: ClusterPlan) -> None:
    due = outlook(plan, "scheduler.conf", "controller-manager.conf", "image-registry")
    assert lines(plan, due)[-2:] == [
        (
            "restart, one host after another: kube-controller-manager and kube-scheduler on m1, m2, m3; "
            "docker-registry on w1"
        ),
        "no other service restarts: all others read their files again",
    ]
    assert "on m2, m3;" in lines(plan, due, unreachable=["m1"])[-2]


def test_what_is_said_of_a_ca_that_ends_soon() -> None:
    end = dt.datetime(2027, 3, 1, tzinfo=dt.UTC)
    useless = ("hosts/m1/apiserver", "kubeconfigs/admin.conf", "front-proxy-client")
    assert bounds(Outlook((), {"kubernetes": end}, useless)) == [
        "the CA kubernetes ends on 2027-03-01: certificates that it signs now end then, too",
        (
            "would last no longer when renewed, because their CA ends then: m1/apiserver, admin.conf, "
            "front-proxy-client"
        ),
    ]
