"""A node leaves the cluster for good."""

from __future__ import annotations

import pytest
from ansible.module_utils.k8sbootstrap.kube import leave
from api_of_nodes import Api


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    return Api.used_by(monkeypatch, leave)


def test_the_node_goes_before_the_pods_that_are_counted_there(api: Api) -> None:
    """Otherwise a DaemonSet would make them again."""
    api.pods = ("proxy-abc",)
    assert leave.delete("w1")
    assert [words.partition(" --")[0] for words in api.asked] == [
        "delete node w1",
        "delete pod proxy-abc -n kube-system",
    ]
    assert "--force --grace-period=0" in api.asked[-1]


def test_nothing_is_left_of_one_that_is_gone(api: Api) -> None:
    assert not leave.delete("w3")
