"""How long a unit that was started is waited for."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import pytest
from ansible.module_utils.k8sbootstrap.host import patience


class Host:
    """A clock, and a unit of it that uses a share of the processor."""

    def __init__(self, share: float) -> None:
        self.now, self.share, self.pid = 1000.0, share, "7"

    def used(self, _unit: str) -> tuple[str, float]:
        return self.pid, 3.0 + self.share * (self.now - 1000.0)

    def lasts(self, goes_on) -> float:
        """Seconds until it is not worth waiting any more."""
        while goes_on() and self.now < 10000:
            self.now += 1
        return self.now - 1000.0


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(0.5)
    monkeypatch.setattr(patience, "_used", made.used)
    monkeypatch.setattr(patience, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


def test_a_program_that_works_gets_ten_times_as_long(host: Host) -> None:
    assert host.lasts(patience.while_busy("etcd.service", 60)) == 601


def test_one_that_waits_does_not(host: Host) -> None:
    host.share = 0.01
    assert host.lasts(patience.while_busy("etcd.service", 60)) == 61


def test_one_that_was_started_again_does_not(host: Host) -> None:
    goes_on = patience.while_busy("etcd.service", 60)
    host.pid = "8"
    assert host.lasts(goes_on) == 61


def test_a_plain_limit_is_one(host: Host) -> None:
    assert host.lasts(patience.within(15)) == 16


def test_processor_time_is_that_of_the_main_process(monkeypatch: pytest.MonkeyPatch) -> None:
    said = SimpleNamespace(stdout=f"{os.getpid()}\n")
    monkeypatch.setattr(patience.subprocess, "run", lambda *_, **__: said)
    pid, seconds = patience._used("x.service")
    assert pid == str(os.getpid())
    assert 0 < seconds < sys.maxsize
    said.stdout = "0\n"
    assert patience._used("x.service") == ("0", 0.0)


@pytest.mark.parametrize("said", ["", "0\n", "[not set]\n"])
def test_a_unit_without_a_process_uses_none(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setattr(patience.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=said))
    assert patience._used("x.socket") == (said.strip(), 0.0)
