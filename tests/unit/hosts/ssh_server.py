"""A real SSH server in this process: paramiko's own server side, commands run by the local shell."""

import contextlib
import os
import signal
import socket
import subprocess
import threading

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from k8sbootstrap.plan.models import BastionTarget, SSHTarget

SUDO = """#!{python}
# Behaves as sudo does: -n, or -S with -p; the password is "right"; "admin" may, others may not.
import os, sys
arguments = sys.argv[1:arguments_end] if (arguments_end := sys.argv.index("--")) else []
mode = os.environ["SUDO_MODE"]
if mode == "nopasswd":
    pass
elif "-n" in arguments:
    sys.exit("sudo: a password is required")
else:
    prompt = arguments[arguments.index("-p") + 1]
    for attempt in range(3):
        sys.stderr.write(prompt)
        sys.stderr.flush()
        line = b""
        while not line.endswith(b"\\n"):
            byte = os.read(0, 1)
            if not byte:
                sys.exit("sudo: no password was provided")
            line += byte
        if line == b"right\\n":
            break
        sys.stderr.write("Sorry, try again.\\n")
        if mode == "one-try":
            sys.exit("sudo: 1 incorrect password attempt")
    else:
        sys.exit("sudo: 3 incorrect password attempts")
    if mode == "stranger":
        sys.exit("admin is not in the sudoers file.")
os.environ["BECAME"] = "root"
os.execvp(sys.argv[arguments_end + 1], sys.argv[arguments_end + 1:])
"""


def make_key(path, passphrase=None):
    key = ed25519.Ed25519PrivateKey.generate()
    encryption = (
        serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, encryption)
    path.write_bytes(pem)
    path.chmod(0o600)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    path.with_name(path.name + ".pub").write_bytes(public)
    return path


class Handler(paramiko.ServerInterface):
    def __init__(self, server):
        self.server = server
        self.outgoing = {}  # by channel of this connection

    def get_allowed_auths(self, username):  # noqa: ARG002
        return "publickey"

    def check_auth_publickey(self, username, key):
        accepted = username == "admin" and key.get_base64() in self.server.authorized
        return paramiko.AUTH_SUCCESSFUL if accepted else paramiko.AUTH_FAILED

    def check_channel_request(self, kind, chanid):  # noqa: ARG002
        return paramiko.OPEN_SUCCEEDED

    def check_channel_direct_tcpip_request(self, chanid, origin, destination):  # noqa: ARG002
        if not self.server.forwards:
            return paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        try:
            self.outgoing[chanid] = socket.create_connection(destination, timeout=2)
        except OSError:
            return paramiko.OPEN_FAILED_CONNECT_FAILED
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        # later than the answer to this request, which must not come after the command's end
        later = threading.Timer(0.02, self.server.execute, (channel, command))
        later.daemon = True
        later.start()
        return True


class Server:
    """One SSH server on a free port of 127.0.0.1."""

    def __init__(self, tmp_path, host_keys, authorized):
        self.host_keys = host_keys
        self.authorized = authorized
        self.forwards = True
        self.transports = []
        self.processes = []
        self.environment = {
            **os.environ,
            "SUDO_MODE": "nopasswd",
            "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        }
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        transport = paramiko.Transport(connection)
        self.transports.append(transport)
        for key in self.host_keys:
            transport.add_server_key(key)
        try:
            handler = Handler(self)
            transport.start_server(server=handler)
            while transport.is_active():
                channel = transport.accept(1)
                if channel and channel.chanid in handler.outgoing:
                    link = handler.outgoing.pop(channel.chanid)
                    threading.Thread(target=forward, args=(link.recv, channel), daemon=True).start()
                    threading.Thread(target=pump, args=(channel.recv, link.sendall), daemon=True).start()
        except (paramiko.SSHException, EOFError, OSError):
            transport.close()

    def execute(self, channel, command):
        process = subprocess.Popen(
            ["sh", "-c", b"exec " + command],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        self.processes.append(process)

        def feed():
            pump(channel.recv, process.stdin.write)
            process.stdin.close()

        threading.Thread(target=feed, daemon=True).start()
        readers = [
            threading.Thread(target=pump, args=(process.stdout.read, channel.sendall)),
            threading.Thread(target=pump, args=(process.stderr.read, channel.sendall_stderr)),
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        with contextlib.suppress(OSError, EOFError):  # the client is gone
            if (rc := process.wait()) >= 0:
                channel.send_exit_status(rc)
            channel.close()

    def cut(self):
        for transport in self.transports:
            transport.close()

    def close(self):
        with contextlib.suppress(OSError):  # closed before
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self.listener.close()
        self.cut()
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def forward(read, channel):
    pump(read, channel.sendall)
    channel.close()


def pump(read, write):
    try:
        while data := read(32768):
            write(data)
    except (OSError, EOFError):
        pass


def target_of(server, key, known_hosts, **changes):
    fields = {
        "host": "m1",
        "address": "127.0.0.1",
        "port": server.port,
        "user": "admin",
        "key": key,
        "bastion": None,
        "sudo": False,
        "sudo_password": None,
        "known_hosts": known_hosts,
    }
    return SSHTarget(**{**fields, **changes})


def learn(target, server):
    target.known_hosts.parent.mkdir(parents=True, exist_ok=True)
    with target.known_hosts.open("a") as file:
        for key in server.host_keys:
            file.write(f"[127.0.0.1]:{server.port} {key.get_name()} {key.get_base64()}\n")


def bastion_of(server):
    return BastionTarget("127.0.0.1", server.port, "admin")
