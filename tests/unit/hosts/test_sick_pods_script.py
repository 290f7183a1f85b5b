"""The script that lists pods which are not well, with a program in kubectl's place."""

import json
import sys

import pytest

from k8sbootstrap.hosts.scripts import sick_pods


def pod(name, phase="Running", ready=""):
    """A pod, with a y or an n for each of its containers."""
    statuses = [{"ready": each == "y"} for each in ready]
    return {"metadata": {"name": name}, "status": {"phase": phase, "containerStatuses": statuses}}


def listed(capfd, pods):
    text = json.dumps({"items": pods})
    assert sick_pods.main([sys.executable, "-c", f"print({text!r})"]) == 0
    return [each["metadata"]["name"] for each in json.loads(capfd.readouterr().out)["items"]]


def test_only_pods_that_are_not_well(capfd):
    pods = [
        pod("well", "Running", "yy"),
        pod("done", "Succeeded", "n"),
        pod("half", "Running", "yn"),
        pod("new", "Pending"),
        pod("dead", "Failed", "n"),
        {"metadata": {"name": "bare"}},
    ]
    assert listed(capfd, pods) == ["half", "new", "dead", "bare"]


def test_not_more_than_is_worth_sending(capfd):
    assert len(listed(capfd, [pod(str(number), "Pending") for number in range(600)])) == sick_pods.MOST


@pytest.mark.parametrize("code", [1, 7])
def test_a_command_that_fails(capfd, code):
    assert (
        sick_pods.main([sys.executable, "-c", f"import sys; sys.stderr.write('no'); sys.exit({code})"])
        == code
    )
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "no")
