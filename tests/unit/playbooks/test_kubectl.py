"""kubectl's failures are told in its own words."""

import signal
import subprocess
import time
from typing import Any

import pytest
from ansible.module_utils.k8sbootstrap.kube import kubectl as kubectl_module
from ansible.module_utils.k8sbootstrap.kube.kubectl import (
    KubectlError,
    all_within,
    items,
    kubectl,
    kubectl_json,
    patiently,
)


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


def test_an_api_server_that_is_away_for_a_while_is_asked_again(monkeypatch):
    monkeypatch.setattr(kubectl_module.time, "sleep", lambda _: None)
    answers = iter([KubectlError("timeout"), KubectlError("refused"), "there"])

    def ask():
        answer = next(answers)
        if isinstance(answer, KubectlError):
            raise answer
        return answer

    assert patiently(ask) == "there"


def test_an_api_server_that_stays_away_is_given_up_and_asked_twice_at_least(monkeypatch):
    """One request may take longer than the time that there is."""
    clock = iter([100.0, 100.0, 131.0])
    monkeypatch.setattr(kubectl_module.time, "sleep", lambda _: None)
    monkeypatch.setattr(kubectl_module.time, "monotonic", lambda: next(clock))
    asked = []

    def ask():
        asked.append(1)
        raise KubectlError("timeout")

    with pytest.raises(KubectlError, match="timeout"):
        patiently(ask)
    assert len(asked) == 2


def test_all_questions_together_have_a_limit(tmp_path, monkeypatch):
    """What hangs is ended, and nothing is timed any more afterwards."""
    program = tmp_path / "hangs"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    run = subprocess.run
    monkeypatch.setattr(
        kubectl_module.subprocess, "run", lambda _command, **options: run([str(program)], **options)
    )
    began = time.monotonic()
    with pytest.raises(KubectlError, match=r"did not answer all questions within 0\.2 s"), all_within(0.2):
        kubectl("get", "nodes")
    assert time.monotonic() - began < 30
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    with all_within(30):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
