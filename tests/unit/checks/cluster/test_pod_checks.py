"""The checks that look at the test pods and at what went through them."""

from dataclasses import replace

import pytest

from k8sbootstrap.checks.framework import Status
from k8sbootstrap.checks.workload.traffic import API_SERVICE, DNS, SERVICE, nodeport_key
from k8sbootstrap.config.models.network import Dns
from k8sbootstrap.hosts.answers import Answer, HttpAnswer, RunAnswer
from k8sbootstrap.survey.cluster.facts import Pod

from .healthy import CHECKS, exec_output, failing, verdicts

REFUSED = HttpAnswer(0, "", "[Errno 111] Connection refused", 10.0)


def change(facts, **parts):
    """``facts`` with entries of the workload's maps replaced."""
    workload = facts.workload
    merged = {part: {**getattr(workload, part), **entries} for part, entries in parts.items()}
    return replace(facts, workload=replace(workload, **merged))


def break_pod(facts, host="w1"):
    pod = Pod(
        f"verify-{host}", host, "", running=False, trouble="pod does not run: ErrImagePull no such host"
    )
    return change(facts, pods={host: pod})


def break_tries(facts, host, **broken):
    workload = facts.workload
    text = exec_output(workload, workload.pods[host], broken)
    return change(facts, execs={host: RunAnswer(0, text, "")})


def test_pods_tells_why_one_does_not_run(facts):
    assert failing(CHECKS["pods"], break_pod(facts)) == {"w1": "pod does not run: ErrImagePull no such host"}


def test_pods_misses_one_that_was_never_created(facts):
    some = {name: pod for name, pod in facts.workload.pods.items() if name != "w2"}
    absent = replace(facts, workload=replace(facts.workload, pods=some))
    assert "no pod was created" in failing(CHECKS["pods"], absent)["w2"]


def test_pods_when_nothing_could_be_created(facts):
    broken = replace(facts, workload=replace(facts.workload, error="could not be started: forbidden"))
    assert failing(CHECKS["pods"], broken) == {"cluster": "could not be started: forbidden"}
    for name in ("dns", "exec", "logs", "pod-network", "service", "nodeport"):
        assert verdicts(CHECKS[name], broken)["cluster"].status is Status.SKIPPED


@pytest.mark.parametrize("name", ["dns", "exec", "logs", "pod-network"])
def test_a_pod_that_does_not_run_fails_only_once(facts, name):
    broken = break_pod(facts)
    assert verdicts(CHECKS[name], broken)["w1"].status is Status.SKIPPED
    assert not failing(CHECKS[name], broken)


def test_logs(facts):
    refused = RunAnswer(1, "", "Error from server: Get https://192.0.2.21:10250/: dial tcp: i/o timeout")
    assert "i/o timeout" in failing(CHECKS["logs"], change(facts, logs={"w1": refused}))["w1"]
    assert "it is empty" in failing(CHECKS["logs"], change(facts, logs={"w1": RunAnswer(0, "", "")}))["w1"]


def test_exec(facts):
    refused = RunAnswer(1, "", "error: unable to upgrade connection: Forbidden")
    broken = change(facts, execs={"w1": refused})
    assert "Forbidden" in failing(CHECKS["exec"], broken)["w1"]
    assert verdicts(CHECKS["pod-network"], broken)["w1"].status is Status.SKIPPED
    assert verdicts(CHECKS["service"], broken)["w1"].message == "10.96.7.7 from the host"


def test_exec_that_broke_off_is_not_taken_for_done(facts):
    text = facts.workload.execs["w1"].stdout.replace("POD verify-w1\n", "")
    assert list(failing(CHECKS["exec"], change(facts, execs={"w1": RunAnswer(0, text, "")}))) == ["w1"]


def test_exec_into_the_wrong_pod(facts):
    swapped = change(facts, execs={"w1": facts.workload.execs["w2"]})
    assert failing(CHECKS["exec"], swapped) == {"w1": "exec into verify-w1 reached verify-w2 instead"}


def test_pod_network_names_both_ends(facts):
    ip = facts.workload.pods["w2"].ip
    broken = break_tries(facts, "w1", **{ip: "wget: download timed out"})
    failures = failing(CHECKS["pod-network"], broken)
    assert failures == {
        "w1": f"its pod 10.244.3.5 does not reach the pod on w2 ({ip}): wget: download timed out"
    }
    assert not failing(CHECKS["service"], broken)


def test_pod_network_answered_by_another_pod(facts):
    ip = facts.workload.pods["w2"].ip
    text = facts.workload.execs["w1"].stdout.replace(f"OK {ip} verify-w2", f"OK {ip} verify-m1")
    broken = change(facts, execs={"w1": RunAnswer(0, text, "")})
    assert "answered by verify-m1, not by verify-w2" in failing(CHECKS["pod-network"], broken)["w1"]


def test_dns(facts):
    assert verdicts(CHECKS["dns"], facts)["w1"].message == "its pod resolves names with 10.96.0.10: 10.96.0.1"
    broken = break_tries(facts, "w1", **{DNS: "no answer in 3 s"})
    assert failing(CHECKS["dns"], broken) == {
        "w1": "its pod can't resolve names with 10.96.0.10: no answer in 3 s"
    }
    none = facts.plan.config.model_copy(update={"dns": Dns(name="none")})
    without = replace(facts, plan=replace(facts.plan, config=none))
    assert verdicts(CHECKS["dns"], without)["cluster"].status is Status.SKIPPED


def test_service_from_the_host(facts):
    http = dict(facts.workload.hosts["w1"].http)
    broken = change(facts, hosts={"w1": Answer(http={**http, SERVICE: REFUSED})})
    message = failing(CHECKS["service"], broken)["w1"]
    assert "the host does not reach the test Service (10.96.7.7): [Errno 111]" in message
    stranger = change(facts, hosts={"w1": Answer(http={**http, SERVICE: HttpAnswer(200, "nginx", "", 0.1)})})
    assert "answered by 'nginx'" in failing(CHECKS["service"], stranger)["w1"]


@pytest.mark.parametrize(
    ("key", "name"),
    [(SERVICE, "the test Service (10.96.7.7)"), (API_SERVICE, "the Service kubernetes (10.96.0.1)")],
)
def test_service_from_the_pod(facts, key, name):
    broken = break_tries(facts, "w1", **{key: "wget: download timed out"})
    assert failing(CHECKS["service"], broken) == {
        "w1": f"its pod does not reach {name}: wget: download timed out"
    }


def test_nodeport_names_the_node_that_does_not_answer(facts):
    http = {**facts.workload.hosts["w1"].http, nodeport_key("w2"): REFUSED}
    message = failing(CHECKS["nodeport"], change(facts, hosts={"w1": Answer(http=http)}))["w1"]
    assert "w2 (192.0.2.22:31234): [Errno 111] Connection refused" in message
    assert "m1" not in message


@pytest.mark.parametrize("name", ["service", "nodeport"])
def test_a_host_lost_on_the_way_fails(facts, name):
    hosts = {name: answer for name, answer in facts.workload.hosts.items() if name != "w1"}
    gone = replace(facts, workload=replace(facts.workload, hosts=hosts), lost={"w1": "connection reset"})
    assert list(failing(CHECKS[name], gone)) == ["w1"]


def test_cleanup(facts):
    left = replace(facts, leftover="namespace x is still there")
    assert failing(CHECKS["cleanup"], left) == {"cluster": "namespace x is still there"}
    untried = replace(facts, leftover=None)
    assert verdicts(CHECKS["cleanup"], untried)["cluster"].status is Status.SKIPPED
