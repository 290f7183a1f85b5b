"""k8sbootstrap reboot, stop and start: bad input is refused before any host is asked."""

from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["reboot", "worker2", "--yes"], "cluster.yaml has no host worker2; it has master1, worker1"),
        (["stop", "worker1", "worker1", "--yes"], "worker1 is given twice"),
        (["start", "worker2", "--yes"], "cluster.yaml has no host worker2; it has master1, worker1"),
        (["stop"], "This stops services. There is no terminal to ask on: add --yes to confirm."),
        (["start"], "This starts services. There is no terminal to ask on: add --yes to confirm."),
        (["reboot"], "This reboots hosts. There is no terminal to ask on: add --yes to confirm."),
    ],
)
def test_bad_input(run, folder: Path, args: list[str], said: str) -> None:
    ended = run(*args)
    assert (ended.code, ended.out) == (2, "")
    assert said in " ".join(ended.err.split())
    assert not (folder / ".k8sbootstrap").exists()


@pytest.mark.parametrize("args", [["reboot", "--if-required"], ["stop"], ["stop", "worker1"], ["start"]])
def test_hosts_that_do_not_answer(run, folder: Path, args: list[str]) -> None:
    ended = run(*args, "--yes")
    assert not list((folder / ".k8sbootstrap/demo").rglob("*.crt"))
    assert ended.code == 4
    assert "worker1 can't be reached" in ended.err
    assert "Nothing was changed." in ended.err
