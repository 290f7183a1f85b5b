import base64
import hashlib
import shutil
import subprocess

import paramiko
import pytest

from k8sbootstrap.errors import HostKeyError, StateError
from k8sbootstrap.hosts.client import SSHSession
from k8sbootstrap.hosts.host_keys import ensure_known
from k8sbootstrap.hosts.known_hosts import KnownHosts
from k8sbootstrap.hosts.pool import Pool
from tests.unit.hosts.ssh_server import bastion_of, learn, target_of


def fingerprint(key):
    digest = hashlib.sha256(key.asbytes()).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


@pytest.fixture
def pool():
    with Pool(timeout=2) as pool:
        yield pool


@pytest.fixture
def stranger(server, key, known_hosts):
    return target_of(server, key, known_hosts)


def test_new_keys_are_accepted_where_that_is_asked_for(pool, stranger, server, known_hosts):
    ensure_known(pool, [stranger], accept_new=True, ask=None)
    key = server.host_keys[0]
    line = f"[127.0.0.1]:{server.port} ecdsa-sha2-nistp256 {key.get_base64()}\n"
    assert known_hosts.read_text() == line
    assert known_hosts.stat().st_mode & 0o777 == 0o600
    assert known_hosts.parent.stat().st_mode & 0o777 == 0o700
    with SSHSession(stranger) as session:
        assert session.run("true").rc == 0


def test_known_keys_are_not_asked_about_again(pool, stranger, known_hosts):
    ensure_known(pool, [stranger], accept_new=True, ask=None)
    before = known_hosts.read_text()
    ensure_known(pool, [stranger], accept_new=False, ask=None)
    assert known_hosts.read_text() == before


def test_new_keys_are_asked_about_with_name_address_type_and_fingerprint(pool, stranger, server):
    asked = []

    def ask(*question):
        asked.append(question)
        return True

    ensure_known(pool, [stranger], accept_new=False, ask=ask)
    key = server.host_keys[0]
    assert asked == [("m1", f"127.0.0.1:{server.port}", "ecdsa-sha2-nistp256", fingerprint(key))]
    ensure_known(pool, [stranger], accept_new=False, ask=ask)
    assert len(asked) == 1


def test_new_keys_are_refused_where_nobody_can_be_asked(pool, new_server, key, known_hosts):
    servers = [new_server(), new_server()]
    targets = [target_of(each, key, known_hosts, host=f"m{n}") for n, each in enumerate(servers)]
    with pytest.raises(HostKeyError) as caught:
        ensure_known(pool, targets, accept_new=False, ask=None)
    for each in servers:
        assert fingerprint(each.host_keys[0]) in str(caught.value)
    assert "--accept-new-host-keys" in caught.value.hint
    assert not known_hosts.exists()


def test_where_no_key_is_known_the_state_may_be_lost(pool, stranger, known_hosts):
    lost = f"no state of the cluster {known_hosts.parent.name}. If the cluster runs, run k8sbootstrap adopt"
    with pytest.raises(HostKeyError) as caught, SSHSession(stranger):
        pass
    assert lost in caught.value.hint
    with pytest.raises(HostKeyError) as caught:
        ensure_known(pool, [stranger], accept_new=False, ask=None)
    assert lost in caught.value.hint
    known_hosts.parent.mkdir(parents=True)
    known_hosts.touch()
    with pytest.raises(HostKeyError) as caught:
        ensure_known(pool, [stranger], accept_new=False, ask=None)
    assert "adopt" not in caught.value.hint


def test_a_no_refuses_that_host_and_keeps_the_others(pool, new_server, key, known_hosts):
    servers = [new_server(), new_server()]
    targets = [target_of(each, key, known_hosts, host=f"m{n}") for n, each in enumerate(servers)]
    with pytest.raises(HostKeyError) as caught:
        ensure_known(pool, targets, accept_new=False, ask=lambda host, *_: host == "m1")
    assert "m0 (" in str(caught.value)
    assert "m1 (" not in str(caught.value)
    assert known_hosts.read_text().startswith(f"[127.0.0.1]:{servers[1].port} ")


@pytest.mark.parametrize("accept_new", [True, False])
def test_changed_keys_are_always_refused(pool, stranger, server, known_hosts, accept_new):
    learn(stranger, server)
    old, server.host_keys = server.host_keys[0], (paramiko.ECDSAKey.generate(),)
    before = known_hosts.read_text()
    with pytest.raises(HostKeyError, match="has changed") as caught:
        ensure_known(pool, [stranger], accept_new=accept_new, ask=lambda *_: True)
    assert fingerprint(old) in str(caught.value)
    assert fingerprint(server.host_keys[0]) in str(caught.value)
    assert f"ssh-keygen -f {known_hosts} -R '[127.0.0.1]:{server.port}'" in caught.value.hint
    assert known_hosts.read_text() == before


def test_a_key_of_another_type_is_a_changed_key(pool, stranger, server):
    learn(stranger, server)
    server.host_keys = (paramiko.RSAKey.generate(2048),)
    with pytest.raises(HostKeyError, match="has changed"):
        ensure_known(pool, [stranger], accept_new=True, ask=None)


def test_hosts_that_cannot_be_reached_are_passed_over(pool, stranger, new_server, server, key):
    known_hosts = stranger.known_hosts
    alive = new_server()
    server.close()
    ensure_known(pool, [stranger, target_of(alive, key, known_hosts, host="m2")], accept_new=True, ask=None)
    assert known_hosts.read_text().startswith(f"[127.0.0.1]:{alive.port} ")


def test_a_bastion_and_the_hosts_behind_it(pool, new_server, key, known_hosts):
    bastion, hosts = new_server(), [new_server(), new_server()]
    targets = [
        target_of(each, key, known_hosts, host=f"m{n}", bastion=bastion_of(bastion))
        for n, each in enumerate(hosts)
    ]
    asked = []
    ensure_known(pool, targets, accept_new=False, ask=lambda *question: asked.append(question) or True)
    assert [question[0] for question in asked] == ["the bastion", "m0", "m1"]
    for target in targets:
        with SSHSession(target) as session:
            assert session.run("true").rc == 0


def test_nothing_behind_a_refused_bastion_is_looked_at(pool, new_server, key, known_hosts):
    bastion, host = new_server(), new_server()
    with pytest.raises(HostKeyError, match="the bastion"):
        ensure_known(
            pool, [target_of(host, key, known_hosts, bastion=bastion_of(bastion))], accept_new=False, ask=None
        )
    assert host.transports == []


def test_other_lines_of_the_file_stay(pool, stranger, known_hosts):
    known_hosts.parent.mkdir(parents=True)
    line = f"example.com ecdsa-sha2-nistp256 {paramiko.ECDSAKey.generate().get_base64()}"
    known_hosts.write_text(f"# mine\n{line}")
    ensure_known(pool, [stranger], accept_new=True, ask=None)
    assert known_hosts.read_text().startswith(f"# mine\n{line}\n[127.0.0.1]:")


@pytest.mark.parametrize("content", [None, "example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJg\n"])
def test_a_file_that_cannot_be_read_is_named(known_hosts, content):
    known_hosts.parent.mkdir(parents=True)
    if content is None:
        known_hosts.mkdir()
    else:
        known_hosts.write_text(content)
    with pytest.raises(StateError, match="known_hosts cannot be read"):
        KnownHosts(known_hosts)


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="OpenSSH's client is not installed")
def test_openssh_finds_the_key_and_prints_the_same_fingerprint(pool, stranger, server, known_hosts):
    ensure_known(pool, [stranger], accept_new=True, ask=None)
    command = ["ssh-keygen", "-l", "-F", f"[127.0.0.1]:{server.port}", "-f", str(known_hosts)]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert fingerprint(server.host_keys[0]) in found
