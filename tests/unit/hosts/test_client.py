import hashlib
import shutil
import socket
import subprocess
import threading
import time
from dataclasses import replace

import paramiko
import pytest

from k8sbootstrap.errors import HostError, HostKeyError, SudoError
from k8sbootstrap.hosts import client
from k8sbootstrap.hosts.client import SSHSession
from k8sbootstrap.hosts.command import TooMuchError
from k8sbootstrap.hosts.pool import Pool
from tests.unit.hosts.ssh_server import bastion_of, learn, make_key, target_of


def failure(target, kind=HostError, **run):
    with pytest.raises(kind) as caught, SSHSession(target, timeout=2) as session:
        session.run("true", **run)
    assert str(caught.value).startswith(f"m1 (127.0.0.1:{target.port}): ")
    assert caught.value.hint
    return str(caught.value)


def test_a_command_gives_its_exit_code_output_and_errors(target):
    with SSHSession(target) as session:
        result = session.run("echo out; echo err >&2; exit 3")
        assert (result.rc, result.stdout, result.stderr) == (3, "out\n", "err\n")
        assert session.run('echo "$LC_ALL"').stdout == "C\n"


def test_a_command_reads_its_input_to_the_end(target):
    data = bytes(range(256)) * 20000
    with SSHSession(target) as session:
        result = session.run("sha256sum", stdin=data)
        assert result.stdout.split()[0] == hashlib.sha256(data).hexdigest()
        assert session.run("wc -c").stdout.strip() == "0"


def test_much_output_and_input_at_the_same_time(target):
    data = b"x" * 6_000_000
    with SSHSession(target) as session:
        result = session.run("cat; head -c 3000000 /dev/zero >&2", stdin=data)
    assert result.stdout == data.decode()
    assert len(result.stderr) == 3_000_000


def test_a_command_need_not_read_its_input(target):
    with SSHSession(target) as session:
        assert session.run("exec <&-; echo done", stdin=b"x" * 5_000_000).stdout == "done\n"


def test_a_command_that_a_signal_ends(target):
    with SSHSession(target) as session:
        assert session.run("kill -9 $$").rc == -1
        assert session.run("true").rc == 0


def test_a_command_that_takes_too_long(target):
    started = time.monotonic()
    with SSHSession(target) as session, pytest.raises(HostError, match=r"did not end within 0\.3 s"):
        session.run("sleep 20", timeout=0.3)
    assert time.monotonic() - started < 3


def test_a_connection_that_breaks(target, server):
    threading.Timer(0.3, server.cut).start()
    with SSHSession(target) as session, pytest.raises(HostError, match="broke while a command ran"):
        session.run("sleep 20")


def test_why_a_command_ended_is_reported_where_the_connection_is_gone_by_then(target, monkeypatch):
    def run(_exchange, _timeout):
        session._transport.packetizer.close()  # what a thread that closes the connection does first
        raise TooMuchError

    monkeypatch.setattr(client.Exchange, "run", run)
    with SSHSession(target) as session, pytest.raises(HostError, match="does not stop writing output"):
        session.run("true")


def test_root_without_a_password(target):
    with SSHSession(replace(target, sudo=True)) as session:
        assert session.run("echo $BECAME; cat", stdin=b"input").stdout == "root\ninput"
        assert session.run("echo $BECAME", root=False).stdout == "\n"


def test_root_with_a_password_that_never_reaches_the_command(target, server):
    server.environment["SUDO_MODE"] = "password"
    with SSHSession(replace(target, sudo=True, sudo_password="right")) as session:
        result = session.run("echo $BECAME; echo oops >&2; cat; exit 4", stdin=b"input")
        assert (result.rc, result.stdout, result.stderr) == (4, "root\ninput", "oops\n")


def test_a_password_that_sudo_does_not_ask_for_stays_here(target):
    with SSHSession(replace(target, sudo=True, sudo_password="right")) as session:
        assert session.run("cat", stdin=b"input").stdout == "input"


@pytest.mark.parametrize("mode", ["password", "one-try"])
def test_a_wrong_sudo_password(target, server, mode):
    server.environment["SUDO_MODE"] = mode
    message = failure(replace(target, sudo=True, sudo_password="wrong-secret"), SudoError)
    assert "sudo refused the password of user admin" in message
    assert "wrong-secret" not in message


def test_a_user_who_may_not_use_sudo(target, server):
    server.environment["SUDO_MODE"] = "stranger"
    message = failure(replace(target, sudo=True, sudo_password="right"), SudoError)
    assert "user admin may not become root" in message


def test_sudo_that_wants_a_password_when_there_is_none(target, server):
    server.environment["SUDO_MODE"] = "password"
    assert "asks user admin for a password" in failure(replace(target, sudo=True), SudoError)


def test_no_sudo_installed(target, server, tmp_path):
    (tmp_path / "bin" / "sudo").unlink()
    server.environment["PATH"] = f"{tmp_path}/bin"
    for name in ("env", "sh"):
        (tmp_path / "bin" / name).symlink_to(f"/usr/bin/{name}")
    assert "sudo is not installed" in failure(replace(target, sudo=True), SudoError)


def test_a_host_that_refuses_connections(target, server):
    server.close()
    assert "connection refused" in failure(target)


def test_a_host_that_does_not_answer(target):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        message = failure(replace(target, port=silent.getsockname()[1]))
    assert "does not speak SSH" in message


def test_a_name_that_does_not_resolve(target):
    with pytest.raises(HostError, match=r"the name nowhere\.invalid cannot be resolved"):
        SSHSession(replace(target, address="nowhere.invalid")).__enter__()


def test_a_wrong_key(target, tmp_path):
    other = make_key(tmp_path / "other")
    assert f"authentication refused for user admin with {other}" in failure(replace(target, key=other))


def test_a_missing_key(target, tmp_path):
    assert f"the SSH key {tmp_path}/none does not exist" in failure(replace(target, key=tmp_path / "none"))


def test_a_key_that_is_a_directory(target, tmp_path):
    assert f"the SSH key {tmp_path} cannot be read" in failure(replace(target, key=tmp_path))


def test_a_file_that_is_no_key(target, tmp_path):
    (tmp_path / "text").write_text("hello")
    assert f"{tmp_path}/text is not an SSH private key" in failure(replace(target, key=tmp_path / "text"))


def test_an_encrypted_key(target, tmp_path):
    encrypted = make_key(tmp_path / "encrypted", b"passphrase")
    assert f"the SSH key {encrypted} is encrypted" in failure(replace(target, key=encrypted))


def test_no_key_at_all(target):
    assert "there is no SSH key to log in as admin" in failure(replace(target, key=None))


def test_the_usual_key_of_the_user(target, key, tmp_path):
    (tmp_path / "home" / ".ssh" / "id_ed25519").write_bytes(key.read_bytes())
    with SSHSession(replace(target, key=None)) as session:
        assert session.run("true").rc == 0


@pytest.fixture
def agent(monkeypatch, tmp_path):
    if not shutil.which("ssh-agent"):
        pytest.skip("OpenSSH's agent is not installed")
    path = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL) as process:
        while not path.exists():
            time.sleep(0.01)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        yield
        process.terminate()


@pytest.mark.usefixtures("agent")
def test_a_key_of_the_agent(target, key):
    subprocess.run(["ssh-add", "-q", str(key)], check=True)
    with SSHSession(replace(target, key=None)) as session:
        assert session.run("true").rc == 0


@pytest.mark.usefixtures("agent")
def test_an_encrypted_key_that_the_agent_holds(target, key):
    subprocess.run(["ssh-add", "-q", str(key)], check=True)
    make_key(key.with_name("encrypted"), b"passphrase").rename(key)  # only the public half is the old one
    with SSHSession(target) as session:
        assert session.run("true").rc == 0


def test_an_unknown_host_key_is_refused(server, key, known_hosts):
    message = failure(target_of(server, key, known_hosts), HostKeyError)
    assert (
        f"unknown SSH host key {server.host_keys[0].get_name()} {server.host_keys[0].fingerprint}" in message
    )


def test_a_changed_host_key_is_refused_with_both_fingerprints(server, key, known_hosts):
    target = target_of(server, key, known_hosts)
    learn(target, server)
    old, server.host_keys = server.host_keys[0], (paramiko.ECDSAKey.generate(),)
    message = failure(target, HostKeyError)
    assert old.fingerprint in message
    assert server.host_keys[0].fingerprint in message


def test_the_known_one_of_several_keys_is_asked_for(new_server, key, known_hosts):
    """An RSA key is known: the server must show that one, not the ECDSA key that both sides like better."""
    server = new_server(paramiko.ECDSAKey.generate(), paramiko.RSAKey.generate(2048))
    target = target_of(server, key, known_hosts)
    known_hosts.parent.mkdir(parents=True)
    rsa = server.host_keys[1]
    known_hosts.write_text(f"[127.0.0.1]:{server.port} ssh-rsa {rsa.get_base64()}\n")
    with SSHSession(target) as session:
        assert session.run("true").rc == 0


def test_through_a_bastion(new_server, key, known_hosts):
    host, bastion = new_server(), new_server()
    target = target_of(host, key, known_hosts, bastion=bastion_of(bastion))
    learn(target, host)
    learn(target, bastion)
    with SSHSession(target) as session:
        assert session.run("echo through").stdout == "through\n"
    assert len(bastion.transports) == 1


def test_a_bastion_whose_key_is_unknown(new_server, key, known_hosts):
    host, bastion = new_server(), new_server()
    target = target_of(host, key, known_hosts, bastion=bastion_of(bastion))
    learn(target, host)
    with pytest.raises(HostKeyError, match=r"the bastion \(127.0.0.1:\d+\): unknown SSH host key"):
        SSHSession(target).__enter__()
    assert host.transports == []


@pytest.mark.parametrize(
    ("forwards", "says"), [(False, "does not allow forwarding"), (True, "cannot reach it")]
)
def test_a_bastion_that_does_not_get_there(new_server, key, known_hosts, forwards, says):
    host, bastion = new_server(), new_server()
    bastion.forwards = forwards
    host.close()
    target = target_of(host, key, known_hosts, bastion=bastion_of(bastion))
    learn(target, bastion)
    assert says in failure(target)


def test_one_dead_host_keeps_no_other_waiting(new_server, key, known_hosts):
    alive, dead = new_server(), new_server()
    targets = [target_of(dead, key, known_hosts, host="m2"), target_of(alive, key, known_hosts)]
    learn(targets[1], alive)
    dead.close()
    with Pool(timeout=2) as pool:
        found = pool.on_all(targets, lambda _host, session: session.run("echo hi").stdout)
    assert list(found) == ["m2", "m1"]
    assert found["m1"] == "hi\n"
    assert isinstance(found["m2"], HostError)
