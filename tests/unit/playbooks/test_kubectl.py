"""kubectl's failures are told in its own words."""

import subprocess
from typing import Any

import pytest
from ansible.module_utils.k8sbootstrap.kube import kubectl as kubectl_module
from ansible.module_utils.k8sbootstrap.kube.kubectl import KubectlError, items, kubectl, kubectl_json


def answers(monkeypatch: pytest.MonkeyPatch, rc: int, stdout: str, stderr: str) -> None:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, rc, stdout, stderr)

    monkeypatch.setattr(kubectl_module.subprocess, "run", run)


def test_a_host_without_kubectl_is_an_error_like_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: Any, **__: Any) -> None:
        raise FileNotFoundError(2, "No such file or directory", "/usr/local/bin/kubectl")

    monkeypatch.setattr(kubectl_module.subprocess, "run", run)
    with pytest.raises(
        KubectlError, match=r"kubectl get: .*No such file or directory: '/usr/local/bin/kubectl'"
    ):
        kubectl("get", "nodes")


def test_what_kubectl_says_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, 1, "", "connection refused\n")
    with pytest.raises(KubectlError, match=r"^kubectl get: connection refused$"):
        kubectl_json("get", "nodes")


@pytest.mark.parametrize(
    ("stdout", "found"),
    [
        ("", []),
        ('{"kind": "Node"}', [{"kind": "Node"}]),
        ('{"items": [{"kind": "Node"}]}', [{"kind": "Node"}]),
    ],
)
def test_one_object_and_a_list_read_alike(
    monkeypatch: pytest.MonkeyPatch, stdout: str, found: list[Any]
) -> None:
    answers(monkeypatch, 0, stdout, "")
    assert items(kubectl_json("get", "nodes")) == found
