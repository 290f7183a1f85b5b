"""OpenSSH, Ansible and paramiko find known_hosts and the key, whatever characters their folder's name has."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from ssh_server import bastion_of, learn, target_of

from k8sbootstrap.formats.ansible_yaml import dump_line
from k8sbootstrap.inventory.connection import connection_variables, ssh_command
from k8sbootstrap.ssh.client import SSHSession

ODD = (
    "my clusters",
    ' "it\'s" 50% of %h and %% at $ and $x; #1 ~ {{ b }} {% c %} &| *? back\\slash \\n größe ',
    "-oProxyCommand=false",
)


@pytest.fixture(params=ODD)
def scene(request, tmp_path, key, new_server):
    """A folder with a key and known_hosts, and two servers: one is reached directly and through the other."""
    folder = tmp_path / request.param
    folder.mkdir()
    shutil.copy(key, folder / "id")
    host, hop = new_server(), new_server()
    target = target_of(host, folder / "id", folder / "known_hosts")
    learn(target, host)
    learn(target, hop)
    return SimpleNamespace(folder=folder, target=target, hop=hop)


def targets(scene):
    yield scene.target
    yield replace(scene.target, bastion=bastion_of(scene.hop))


def test_openssh(scene):
    for target in targets(scene):
        host = SimpleNamespace(name="m1", address="127.0.0.1", ssh=target)
        command = [*ssh_command(host), "echo arrived"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        assert (done.returncode, done.stdout) == (0, "arrived\n"), done.stderr


def test_paramiko(scene):
    for target in targets(scene):
        with SSHSession(target) as session:
            assert session.run("echo arrived").stdout == "arrived\n"


def test_ansible(scene, tmp_path):
    inventory = tmp_path / "inventory"
    inventory.mkdir()
    hosts = {}
    for name, target in zip(("direct", "hop"), targets(scene), strict=True):
        host = SimpleNamespace(name=name, address="127.0.0.1", ssh=target)
        hosts[name] = {
            "ansible_host": "127.0.0.1",
            "ansible_port": target.port,
            "ansible_user": target.user,
            "ansible_python_interpreter": sys.executable,
            "ansible_ssh_common_args": connection_variables(host)["ssh_arguments"],
        }
    (inventory / "hosts.yml").write_text(dump_line({"all": {"hosts": hosts}}))
    program = Path(sys.executable).with_name("ansible")
    done = subprocess.run(
        [str(program), "all", "-i", str(inventory), "-m", "ping"],
        env={
            **os.environ,
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": "True",
            "ANSIBLE_SSH_ARGS": "-o ControlPath=none",
            "LC_ALL": "C.UTF-8",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.count('"pong"') == len(hosts), done.stdout + done.stderr
