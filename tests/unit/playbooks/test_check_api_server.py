"""The program by which keepalived finds out whether a master can have the virtual IP."""

import http.server
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from k8sbootstrap.pki import x509
from k8sbootstrap.pki.table import SERVER, Subject
from k8sbootstrap.resources import data_dir

PROGRAM = data_dir() / "roles/api_virtual_ip/files/check_api_server.py"
Serve = Callable[..., int]


@pytest.fixture
def authority(tmp_path: Path) -> x509.Pair:
    pair = make()
    (tmp_path / "ca.crt").write_bytes(pair.certificate_pem)
    return pair


def make() -> x509.Pair:
    key = x509.new_key()
    return x509.Pair(x509.make_authority("kubernetes", key), key)


@pytest.fixture
def serve(authority: x509.Pair, tmp_path: Path) -> Iterator[Serve]:
    """Starts an API server on 127.0.0.1, and returns its port."""
    servers = []

    def start(status: int, ca: x509.Pair = authority, name: str = "127.0.0.1") -> int:
        class Ready(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status if self.path == "/readyz" else 404)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        pair = x509.issue(Subject("kube-apiserver", usages=SERVER, sans=frozenset({name})), ca)
        (tmp_path / "server.pem").write_bytes(pair.certificate_pem + pair.key_pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "server.pem")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ready)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        port: int = server.server_port
        return port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def check(port: int, authority: Path) -> int:
    """Run it as keepalived does."""
    command = [sys.executable, "-I", "-S", str(PROGRAM), str(port), str(authority)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=10)
    assert (done.stdout, done.stderr) == (b"", b"")
    return done.returncode


@pytest.mark.parametrize(("status", "code"), [(200, 0), (401, 0), (403, 0), (500, 1), (404, 1)])
def test_what_the_api_server_says(serve: Serve, tmp_path: Path, status: int, code: int) -> None:
    """One that is about to stop says 500."""
    assert check(serve(status), tmp_path / "ca.crt") == code


def test_one_of_another_cluster_is_not_ours(serve: Serve, tmp_path: Path) -> None:
    assert check(serve(200, make()), tmp_path / "ca.crt") == 1


def test_a_certificate_for_another_name_is_refused(serve: Serve, tmp_path: Path) -> None:
    assert check(serve(200, name="kubernetes"), tmp_path / "ca.crt") == 1


def test_nobody_is_there(authority: x509.Pair, tmp_path: Path) -> None:
    assert authority
    assert check(1, tmp_path / "ca.crt") == 1


def test_a_missing_authority_is_no_crash(serve: Serve, tmp_path: Path) -> None:
    assert check(serve(200), tmp_path / "nothing.crt") == 1
