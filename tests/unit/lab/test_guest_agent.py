"""Commands by QEMU's guest agent."""

import base64
import json

import pytest

from k8sbootstrap.errors import LabError
from k8sbootstrap.lab import guest_agent


class Agent:
    """Stands in for virsh and the agent behind it: each command is seen running once before it has ended."""

    def __init__(self, ended: dict[str, object]) -> None:
        self.asked: list[dict[str, object]] = []
        self._answers: list[object] = [{"pid": 7}, {"exited": False}, {"exited": True, **ended}]

    def __call__(self, command: str, domain: str, text: str) -> str:
        assert (command, domain) == ("qemu-agent-command", "vm")
        self.asked.append(json.loads(text))
        return json.dumps({"return": self._answers.pop(0)})


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_agent.time, "sleep", lambda _seconds: None)


def test_output_errors_and_exit_code_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    text = base64.b64encode(b"out \xff\n").decode()
    agent = Agent({"exitcode": 42, "out-data": text})
    monkeypatch.setattr(guest_agent, "virsh", agent)
    assert guest_agent.execute("vm", ["/bin/sh", "-c", "x; exit 42"]) == guest_agent.Ended(
        42, b"out \xff\n", b""
    )
    wanted = {"path": "/bin/sh", "arg": ["-c", "x; exit 42"], "capture-output": True}
    assert agent.asked[0] == {"execute": "guest-exec", "arguments": wanted}
    assert agent.asked[2] == {"execute": "guest-exec-status", "arguments": {"pid": 7}}


def test_a_signal_counts_as_shells_count_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_agent, "virsh", Agent({"signal": 9}))
    assert guest_agent.execute("vm", ["/bin/true"]).code == 137


def test_an_agent_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def virsh(*_words: str) -> str:
        raise LabError("virsh failed with exit code 1:\nerror: QEMU guest agent is not connected")

    monkeypatch.setattr(guest_agent, "virsh", virsh)
    with pytest.raises(
        LabError, match="guest agent of vm did not do it: error: QEMU guest agent is not"
    ) as caught:
        guest_agent.execute("vm", ["/bin/true"])
    assert "booted" in caught.value.hint
