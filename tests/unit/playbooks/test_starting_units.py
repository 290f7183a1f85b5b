"""A unit that is starting while it is set up may run out of time that began too early."""

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from ansible.module_utils.k8sbootstrap.host import units as units_module
from ansible.module_utils.k8sbootstrap.host.units import UnitError, Units

UNIT = {"name": "app.service", "health": None, "timeout": 1, "rolling": True, "reload": False}


@pytest.fixture
def start(
    monkeypatch: pytest.MonkeyPatch, new_record: Callable[..., Any]
) -> Callable[[str, list[int]], list[str]]:
    """Applies the unit; returns what systemd was told. ``codes`` are the results of its starts."""

    def apply(state: str, codes: list[int]) -> list[str]:
        told = []

        def run(command: list[str], **_: Any) -> Any:
            told.append(command[1])
            code = codes.pop(0) if command[1] == "start" else 0
            return subprocess.CompletedProcess(command, code, "", "timed out")

        seen = {"app.service": {"LoadState": "loaded", "UnitFileState": "enabled", "ActiveState": state}}
        monkeypatch.setattr(units_module, "unit_states", lambda _: seen)
        monkeypatch.setattr(units_module.subprocess, "run", run)
        monkeypatch.setattr(units_module, "_journal", lambda _: "")
        Units("app", [UNIT], new_record(), check_mode=False, inputs={}).apply()
        return [verb for verb in told if verb != "show"]

    return apply


def test_one_that_somebody_else_starts_is_only_written_down(
    monkeypatch: pytest.MonkeyPatch, new_record: Callable[..., Any]
) -> None:
    """reset stops it."""
    monkeypatch.setattr(units_module, "unit_states", lambda _: {"app.service": {"LoadState": "not-found"}})
    monkeypatch.setattr(units_module.subprocess, "run", None)
    Units("app", [UNIT], new_record(), check_mode=False, inputs={}).note()
    assert new_record().component("app")["units"] == ["app.service"]
    assert new_record().data["units_before"] == {}


def test_one_that_is_starting_is_started_again(start: Callable[..., list[str]]) -> None:
    """As etcd, which waits since boot for peers that now get certificates."""
    assert start("activating", [0]) == ["reset-failed", "start"]
    assert start("activating", [1, 0]) == ["reset-failed", "start"] * 2


def test_one_that_used_up_its_starts_is_restarted(
    monkeypatch: pytest.MonkeyPatch, new_record: Callable[..., Any]
) -> None:
    """As a kubelet that ended over and over since boot, as its certificate had expired."""
    told = []

    def run(command: list[str], **_: Any) -> Any:
        told.append(command[1])
        return subprocess.CompletedProcess(command, 0, "", "")

    seen = {"app.service": {"LoadState": "loaded", "UnitFileState": "enabled", "ActiveState": "active"}}
    monkeypatch.setattr(units_module, "unit_states", lambda _: seen)
    monkeypatch.setattr(units_module.subprocess, "run", run)
    record = new_record()
    record.component("app")["units"] = ["app.service"]
    record.data["pending_restarts"] = ["app.service"]
    Units("app", [dict(UNIT, rolling=False)], record, check_mode=False, inputs={}).apply()
    assert [verb for verb in told if verb != "show"] == ["reset-failed", "restart"]


@pytest.mark.parametrize(
    ("state", "codes"), [("activating", [1, 1]), ("inactive", [1, 0]), ("failed", [1, 0])]
)
def test_one_that_fails_by_itself_is_an_error(
    start: Callable[..., list[str]], state: str, codes: list[int]
) -> None:
    with pytest.raises(UnitError, match=r"systemctl start app.service failed: timed out"):
        start(state, codes)
