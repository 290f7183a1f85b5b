"""OpenSSH, Ansible and paramiko find known_hosts and the key, whatever characters their folder's name has."""

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from k8sbootstrap.formats.ansible_yaml import dump_line
from k8sbootstrap.hosts.client import SSHSession
from k8sbootstrap.inventory.connection import connection_variables, ssh_command
from tests.unit.hosts.ssh_server import bastion_of, learn, target_of

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
    """Ansible hands all of it to OpenSSH, word by word."""
    inventory, given, ssh = tmp_path / "hosts.yml", tmp_path / "given", tmp_path / "ssh"
    ssh.write_text(f"#!/bin/sh\nfor word; do printf '%s\\0' \"$word\"; done >'{given}'\n")
    ssh.chmod(0o755)
    for target in targets(scene):
        host = SimpleNamespace(name="m1", address=target.address, ssh=target)
        words = connection_variables(host)["ansible_ssh_common_args"]
        inventory.write_text(dump_line({"all": {"hosts": {"m1": {"ansible_ssh_common_args": words}}}}))
        subprocess.run(
            [Path(sys.executable).with_name("ansible"), "all", "-i", inventory, "-m", "raw", "-a", "true"],
            env={**os.environ, "ANSIBLE_SSH_EXECUTABLE": str(ssh), "LC_ALL": "C.UTF-8"},
            capture_output=True,
            check=True,
            timeout=60,
        )
        all_words = given.read_text().split("\0")
        begin = all_words.index("-F")
        assert all_words[begin : begin + len(shlex.split(words))] == shlex.split(words)
