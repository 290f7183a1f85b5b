"""The lease of hosts: by the real program, on "hosts" that are folders of this machine."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from k8sbootstrap.actions import lease
from k8sbootstrap.actions.lease import leased
from k8sbootstrap.errors import LockedError
from k8sbootstrap.plan.build import load_plan
from tests.cluster_yaml import cluster_yaml
from tests.unit.hosts.leases import holder, leasing_pool

MASTERS = ("master1", "master2", "master3")
Hold = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def hold(tmp_path: Path) -> Hold:
    """Holds the lease of the masters as a command of its own; those that are ``down`` can't be reached."""
    file = tmp_path / "cluster.yaml"
    file.write_text(cluster_yaml(*MASTERS))
    targets = [host.ssh for host in load_plan(file).masters]

    def _hold(
        command: str = "k8sbootstrap up", *, down: tuple[str, ...] = ()
    ) -> AbstractContextManager[None]:
        return leased(leasing_pool(tmp_path, *down), targets, command)

    return _hold


def held(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.lease")}


def test_hosts_are_leased_and_given_back(hold: Hold, tmp_path: Path) -> None:
    with hold():
        assert held(tmp_path) == set(MASTERS)
    assert held(tmp_path) == set()


def test_leases_are_given_back_whatever_ends_the_command(hold: Hold, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), hold():
        raise ZeroDivisionError
    assert held(tmp_path) == set()


def test_a_second_command_is_refused_and_names_the_first(hold: Hold, tmp_path: Path) -> None:
    said = r'master1: another command is changing this cluster: "k8sbootstrap up" of \w+ on'
    with hold():
        for _ in range(2):
            with pytest.raises(LockedError, match=said) as caught, hold("k8sbootstrap reset"):
                pytest.fail("it has the lease")
            assert "its lease ends in" in caught.value.hint
            assert held(tmp_path) == set(MASTERS), "the leases of the first stay"
    with hold("k8sbootstrap reset"):
        assert '"k8sbootstrap reset"' in holder(tmp_path, "master1")


def test_hosts_that_do_not_answer_are_left_out(hold: Hold, tmp_path: Path) -> None:
    with hold(down=("master1",)):
        assert held(tmp_path) == {"master2", "master3"}
        with pytest.raises(LockedError, match="master2: another command"), hold():
            pytest.fail("it has the lease")
        assert held(tmp_path) == {"master2", "master3"}, "what the second took of master1 is given back"
    with hold(down=MASTERS):
        assert held(tmp_path) == set()


def test_a_command_that_was_killed_on_this_machine_blocks_nobody(
    hold: Hold, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        process.wait()
    with monkeypatch.context() as patched:
        patched.setattr(lease.os, "getpid", lambda: process.pid)
        killed = hold("k8sbootstrap remove")
        killed.__enter__()  # and never ends
    assert '"k8sbootstrap remove"' in holder(tmp_path, "master1")
    with hold():
        assert all('"k8sbootstrap up"' in holder(tmp_path, name) for name in MASTERS)
    killed.__exit__(None, None, None)


@pytest.mark.parametrize(
    "token", ["", "elsewhere/1:1:0", ":1:0", "{place}:x:0", "{place}", "{place}:{own}:0"]
)
def test_who_is_not_known_to_be_gone_is_waited_for(token: str) -> None:
    assert not lease._is_gone(token.format(place=lease._place(), own=os.getpid()))


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    sent: list[int] = []
    monkeypatch.setattr(lease.os, "kill", lambda _pid, number: sent.append(number))
    return sent


def test_a_lease_is_renewed(hold: Hold, monkeypatch: pytest.MonkeyPatch, interrupted: list[int]) -> None:
    monkeypatch.setattr(lease, "SECONDS", 2.0)
    monkeypatch.setattr(lease, "RENEW", 0.1)
    with hold():
        time.sleep(2.5)
        with pytest.raises(LockedError), hold():
            pytest.fail("it has the lease")
    assert not interrupted


def test_a_lease_that_nobody_renews_ends_and_its_holder_is_stopped(
    hold: Hold, monkeypatch: pytest.MonkeyPatch, interrupted: list[int]
) -> None:
    monkeypatch.setattr(lease, "SECONDS", 0.2)
    monkeypatch.setattr(lease, "RENEW", 1.0)

    def sleep() -> None:
        with hold():
            time.sleep(0.3)
            monkeypatch.setattr(lease, "SECONDS", 60.0)
            with hold("k8sbootstrap reset"):
                time.sleep(1.5)

    with pytest.raises(LockedError, match="did not renew its lease for 60 s, and another one took it"):
        sleep()
    assert interrupted


@pytest.mark.parametrize("content", ["", "nonsense", "[]", '{"until": "x"}', '{"until": 1e300}', "{" * 5000])
def test_a_lease_that_can_not_be_read_blocks_nobody_for_ever(
    hold: Hold, tmp_path: Path, content: str
) -> None:
    (tmp_path / "master1.lease").write_text(content)
    with hold():
        assert '"k8sbootstrap up"' in holder(tmp_path, "master1")
