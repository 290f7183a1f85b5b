"""A cluster whose hosts are this machine, and a folder of playbooks beside the real callback plugin."""

import json
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from k8sbootstrap.plan.models import HostPlan, SSHTarget
from k8sbootstrap.resources import data_dir
from k8sbootstrap.run import ansible
from k8sbootstrap.run.events import Event, parse
from k8sbootstrap.state import State

DATA = Path(__file__).parent / "data"
WritePlaybook = Callable[[str, str], Path]


@pytest.fixture
def state(tmp_path: Path) -> State:
    state = State(tmp_path / ".k8sbootstrap" / "demo")
    state.create()
    return state


@pytest.fixture
def recorded() -> list[Event]:
    """What ansible-playbook told in a real run of two small plays."""
    events = [parse(line) for line in (DATA / "events.jsonl").read_text().splitlines()]
    return [event for event in events if event is not None]


@pytest.fixture
def hosts(state: State) -> list[HostPlan]:
    """Two hosts that are this machine and one where no SSH server listens."""

    def host(name: str, port: int) -> HostPlan:
        ssh = SSHTarget(
            host=name,
            address="127.0.0.1",
            port=port,
            user="root",
            key=None,
            bastion=None,
            sudo=False,
            sudo_password=None,
            known_hosts=state.known_hosts,
        )
        address = IPv4Address("127.0.0.1")
        return HostPlan(name, "127.0.0.1", address, frozenset({"worker"}), "amd64", ssh, {}, ())

    with_password = host("worker-1", 22)
    with_password = replace(with_password, ssh=replace(with_password.ssh, sudo_password="s3same"))
    return [host("master1", 22), with_password, host("gone", 1)]


@pytest.fixture
def inventory(state: State, hosts: list[HostPlan]) -> Path:
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    variables = {host.name: here for host in hosts}
    variables["gone"] = {"ansible_host": "127.0.0.1", "ansible_port": 1}
    state.inventory.mkdir()
    (state.inventory / "hosts.yml").write_text(json.dumps({"all": {"hosts": variables}}))
    return state.inventory


@pytest.fixture
def playbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WritePlaybook:
    """Writes a playbook to where the runner looks for playbooks."""
    folder = tmp_path / "data" / "playbooks"
    folder.mkdir(parents=True)
    (folder / "callback_plugins").symlink_to(data_dir() / "playbooks" / "callback_plugins")
    monkeypatch.setattr(ansible, "data_dir", lambda: tmp_path / "data")
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # a module that is killed leaves its unpacked files behind

    def write(name: str, text: str) -> Path:
        (folder / name).write_text(textwrap.dedent(text))
        return folder / name

    return write
