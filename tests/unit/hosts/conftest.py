import stat
import sys
from pathlib import Path

import paramiko
import pytest

from tests.unit.hosts.ssh_server import SUDO, Server, learn, make_key, target_of


@pytest.fixture(autouse=True)
def no_keys_of_the_user(monkeypatch, tmp_path):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))


@pytest.fixture
def key(tmp_path):
    return make_key(tmp_path / "key")


@pytest.fixture
def new_server(tmp_path, key):
    sudo = tmp_path / "bin" / "sudo"
    sudo.parent.mkdir()
    sudo.write_text(SUDO.replace("{python}", sys.executable))
    sudo.chmod(sudo.stat().st_mode | stat.S_IXUSR)
    public = Path(f"{key}.pub").read_text()
    servers = []

    def make(*host_keys):
        keys = host_keys or (paramiko.ECDSAKey.generate(),)
        server = Server(tmp_path, keys, public)
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def server(new_server):
    return new_server()


@pytest.fixture
def known_hosts(tmp_path):
    return tmp_path / ".k8sbootstrap" / "demo" / "known_hosts"


@pytest.fixture
def target(server, key, known_hosts):
    """The server as a host whose key is known."""
    made = target_of(server, key, known_hosts)
    learn(made, server)
    return made
