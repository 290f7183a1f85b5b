"""Which hosts may be out of service for a while."""

from pathlib import Path

import pytest

from k8sbootstrap.checks.outage import Outage, lines_of, outages, require_answers
from k8sbootstrap.errors import PreflightError
from k8sbootstrap.survey.etcd_voters import Voters

from .test_removal import HOSTS, Case, make


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(make(tmp_path, *HOSTS))


def judge(case: Case, *names: str, together: bool = False) -> tuple[Outage, ...]:
    hosts = [host for name in names for host in case.plan.hosts if host.name == name]
    found = case.findings()
    require_answers(case.plan, hosts, found)
    return outages(case.plan, hosts, found, case.etcd(), together=together)


def refusal(case: Case, *names: str, together: bool = False) -> tuple[str, str]:
    with pytest.raises(PreflightError) as refused:
        judge(case, *names, together=together)
    text = str(refused.value)
    assert text.endswith("\nNothing was changed.")
    return text.removesuffix("\nNothing was changed."), refused.value.hint


def test_all_of_three_masters_one_after_another(case: Case) -> None:
    found = judge(case, *HOSTS)
    assert [each.host.name for each in found] == list(HOSTS)
    assert {each.meanwhile for each in found if each.is_member} == {Voters(3, 2)}
    assert not any(each.etcd_stops or each.api_stops for each in found)
    assert all(each.drains for each in found)
    lines = [line for each in found for line in lines_of(each, case.plan)]
    assert lines == [
        f"etcd: without {name} 2 of 3 members are healthy, and 0 of them may fail"
        for name in ("m1", "m2", "m3")
    ]


def test_a_second_one_while_the_first_stays_away(case: Case) -> None:
    judge(case, "w1", "m1", together=True)
    text, hint = refusal(case, "m1", "m2", together=True)
    assert text == (
        "after m1, etcd would have no quorum without m2: of 3 members 1 would be healthy, and 2 must be"
    )
    assert hint == "It is safe to stop m1 alone."


def test_while_another_member_is_down(case: Case) -> None:
    case.down = {"m3"}
    text, hint = refusal(case, "m1")
    assert text.startswith("etcd would have no quorum without m1: of 3 members 1 would be healthy")
    assert hint == "Bring m3 back first: k8sbootstrap status shows what is wrong."
    judge(case, "w1")


def test_the_member_that_is_not_healthy_itself(case: Case) -> None:
    case.ill = {"m3"}
    (one,) = judge(case, "m3")
    assert (one.meanwhile, one.etcd_stops) == (Voters(3, 2), False)


def test_the_only_master(tmp_path: Path) -> None:
    case = Case(make(tmp_path, "m1", "w1"))
    (one,) = judge(case, "m1")
    assert (one.etcd_stops, one.api_stops) == (True, True)
    assert list(lines_of(one, case.plan)) == [
        "m1: etcd has no quorum until it is back; running pods on other hosts go on"
    ]


def test_a_single_host_has_nowhere_to_move_pods(tmp_path: Path) -> None:
    (one,) = judge(Case(make(tmp_path, "m1")), "m1")
    assert not one.drains
    case = Case(make(tmp_path, "m1", "w1"))
    assert [each.drains for each in judge(case, "m1", "w1", together=True)] == [True, False]


def test_no_api_server_is_left(tmp_path: Path) -> None:
    case = Case(make(tmp_path, "m1", "m2", "e1", "w1"))
    case.other = {"m2": {"pod_cidrs": None, "api_error": "connection refused"}}
    text, _ = refusal(case, "m1")
    assert text == "no API server would answer without m1: no other master's does"
    judge(case, "m2")
    case.other |= {"m1": {"pod_cidrs": None, "api_error": "no quorum"}}
    text, _ = refusal(case, "w1")
    assert text == "no API server answers: no quorum; connection refused"


def test_hosts_that_do_not_answer_or_are_not_in_the_cluster(case: Case) -> None:
    case.down, case.bare = {"w1"}, {"w2"}
    text, hint = refusal(case, "w1", "w2")
    assert text == (
        "w1 can't be reached: w1: no answer within 10 s\nw2 is not in the cluster demo: it has nothing of it"
    )
    assert hint.startswith("Start w1, or leave it out: name the other hosts.")


def test_the_host_of_the_image_registry(tmp_path: Path) -> None:
    case = Case(make(tmp_path, "m1", "w1", registry="{host: w1}"))
    (one,) = judge(case, "w1")
    assert list(lines_of(one, case.plan)) == ["w1: the cluster's image registry is away until it is back"]
