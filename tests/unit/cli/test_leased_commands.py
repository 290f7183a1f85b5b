"""Every command that changes hosts is refused while another operator's command does, and changes nothing."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from k8sbootstrap.actions import changing
from k8sbootstrap.actions.lease import leased
from k8sbootstrap.cli.main import cli
from k8sbootstrap.plan.build import load_plan
from tests.unit.hosts.leases import holder, leasing_pool

CHANGE_HOSTS = {
    "up": ("--yes",),
    "remove": ("worker1", "--yes"),
    "reset": ("--yes",),
    "reboot": ("worker1", "--yes"),
    "stop": ("worker1", "--yes"),
    "start": ("worker1", "--yes"),
    "certs renew": ("--yes",),
    "certs rotate-ca": ("--yes",),
    "etcd defrag": (),
    "etcd restore": ("--newest", "--yes"),
    "etcd recover": ("--survivor", "master1", "--yes"),
}
"""With arguments for each. They begin with ``actions.changing``."""
ONLY_LOOK = {
    "adopt",
    "plan",
    "preflight",
    "verify",
    "status",
    "doctor",
    "support",
    "backup create",
    "certs status",
    "etcd status",
    "etcd snapshot",  # adds a file, as the timer on the hosts does at any time
    "kubectl",
}
"""They ask hosts, and run at any time."""
ASK_NO_HOST = {
    "init",
    "validate",
    "schema",
    "render",
    "report",
    "certs users",
    "backup verify",
    "kubeconfig",
    "bundle",
    "lab",
}
"""``lab`` makes hosts: a cluster on them is changed by the commands above."""


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[str]:
    """All commands, also those of groups."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group) and name not in ASK_NO_HOST:
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name))


def test_of_every_command_it_is_said_whether_it_changes_hosts() -> None:
    assert sorted(commands(cli)) == sorted([*CHANGE_HOSTS, *ONLY_LOOK, *ASK_NO_HOST])


@pytest.mark.parametrize("command", CHANGE_HOSTS)
def test_it_is_refused_while_another_operator_changes_hosts(
    run, folder: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(changing, "Pool", lambda: leasing_pool(folder))
    hosts = [host.ssh for host in load_plan(folder / "cluster.yaml").masters]
    with leased(leasing_pool(folder), hosts, "k8sbootstrap up"):
        ended = run(*command.split(), *CHANGE_HOSTS[command])
        assert ended.code == 7, ended.err
        assert 'master1: another command is changing this cluster: "k8sbootstrap up" of ' in ended.err
        assert "Next: Wait until it has ended." in ended.err
        assert '"k8sbootstrap up"' in holder(folder, "master1")
    assert list(folder.glob("*.lease")) == []
