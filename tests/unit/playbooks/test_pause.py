"""A node is taken out of service, and given back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.k8sbootstrap.kube import pause
from ansible.module_utils.k8sbootstrap.kube.drain import CORDONED, DrainError
from api_of_nodes import Api


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    return Api.used_by(monkeypatch)


def drain(name: str, reason: str = "remove") -> bool:
    return bool(pause.drain(name, reason, 60, "it was not removed"))


def test_it_is_cordoned_and_drained(api: Api) -> None:
    assert drain("w1")
    assert api.nodes["w1"]["spec"] == {"unschedulable": True}
    assert api.asked[-1] == "drain w1 --ignore-daemonsets --delete-emptydir-data --timeout=60s"


def test_one_that_can_t_be_drained_takes_pods_again(api: Api) -> None:
    api.held = "a budget"
    with pytest.raises(DrainError, match="it was not removed; it takes pods again: not all of its pods were"):
        drain("w1")
    assert api.nodes["w1"]["spec"] == {"unschedulable": None}
    assert api.nodes["w1"]["metadata"]["annotations"] == {CORDONED: None}


def test_one_that_somebody_else_cordoned_stays_so(api: Api) -> None:
    api.nodes["w1"]["spec"] = {"unschedulable": True}
    api.held = "a budget"
    with pytest.raises(DrainError, match="it was not removed: not all"):
        drain("w1")
    assert api.nodes["w1"]["spec"] == {"unschedulable": True}


def test_one_that_is_gone_is_not_drained(api: Api) -> None:
    assert not drain("w3")
    assert api.asked == []


def of_boot(boot: str, ready: str = "True", **annotations: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "w1", "annotations": annotations},
        "spec": {"unschedulable": True},
        "status": {
            "nodeInfo": {"bootID": boot},
            "conditions": [{"type": "Ready", "status": ready, "message": "no network"}],
        },
    }


def resume(*commands: str, timeout: int = 60) -> bool:
    return bool(pause.resume("w1", "new", commands, timeout))


def test_it_gets_pods_again_once_its_kubelet_reports_the_new_boot(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ready of the boot before says nothing."""
    seen = [of_boot("old"), of_boot("new", "False"), of_boot("new", **{CORDONED: "reboot:old"})]
    monkeypatch.setattr(pause, "node_object", lambda _: seen.pop(0))
    assert resume("reboot")
    assert seen == []
    assert json.loads(api.asked[-1].rpartition(" -p ")[2])["spec"] == {"unschedulable": None}


@pytest.mark.parametrize("held", [{}, {CORDONED: "stop"}, {CORDONED: "1.37.2"}])
def test_what_others_cordoned_stays_so(api: Api, held: dict[str, str]) -> None:
    api.nodes["w1"] = of_boot("new", **held)
    assert not resume("reboot")
    assert api.asked == []


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (of_boot("old"), "it is not Ready since the host booted after 0 s: no network"),
        (of_boot("new", "False"), "it is not Ready after 0 s: no network"),
    ],
)
def test_one_that_is_not_ready_in_time_stays_as_it_is(api: Api, node: dict[str, Any], said: str) -> None:
    api.nodes["w1"] = node
    with pytest.raises(DrainError, match=said):
        resume("reboot", timeout=0)
    assert api.asked == []


def test_the_node_says_what_for(api: Api) -> None:
    drain("w1", "remove")
    drain("w1", "remove:2")
    assert api.nodes["w1"]["metadata"]["annotations"] == {CORDONED: "remove:2"}


@pytest.mark.parametrize("held", ["1.37.2", "stop"])
def test_what_an_upgrade_or_another_command_cordoned_stays_theirs(api: Api, held: str) -> None:
    api.nodes["w1"] = {
        "metadata": {"name": "w1", "annotations": {CORDONED: held}},
        "spec": {"unschedulable": True},
    }
    api.held = "a budget"
    with pytest.raises(DrainError, match="it was not removed: not all"):
        drain("w1")
    assert api.nodes["w1"]["metadata"]["annotations"] == {CORDONED: held}
    assert api.nodes["w1"]["spec"] == {"unschedulable": True}


def test_one_that_was_stopped_while_it_drained_is_given_back_too(api: Api) -> None:
    drain("w1")
    api.held = "a budget"
    with pytest.raises(DrainError, match="it takes pods again"):
        drain("w1")
    assert api.nodes["w1"]["spec"] == {"unschedulable": None}
