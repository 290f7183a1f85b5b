"""Whether a kubelet must join: with real certificates, against a real TLS server."""

import datetime as dt
import importlib
import shutil
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playbook_code import load

from k8sbootstrap.pki import x509
from k8sbootstrap.pki.table import Subject

identity = load("library", "kubelet_identity")
files = importlib.import_module("ansible.module_utils.k8sbootstrap.host.files")
GOOD = {"exists": True, "registered": True}
JOINS = {"exists": False, "registered": True}
Find = Callable[..., dict[str, bool]]


class Api(BaseHTTPRequestHandler):
    """Answers with one status, and keeps what was asked and by whom."""

    status = 200
    asked: list[tuple[str, str]]

    def do_GET(self) -> None:
        peer = dict(pair for (pair,) in (self.connection.getpeercert() or {}).get("subject", ()))
        self.asked.append((self.path, peer.get("commonName", "")))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def authority() -> x509.Pair:
    key = x509.new_key()
    return x509.Pair(x509.make_authority("kubernetes", key), key)


def write(path: Path, pair: x509.Pair) -> None:
    path.write_bytes(pair.certificate_pem + pair.key_pem)


def client(ca: x509.Pair) -> x509.Pair:
    return x509.issue(Subject("system:node:worker1", "system:nodes"), ca)


@pytest.fixture
def ca() -> x509.Pair:
    return authority()


@pytest.fixture
def serve(tmp_path: Path, ca: x509.Pair, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Starts an API server with one answer to all; gives its URL."""
    servers = []
    monkeypatch.setattr(Api, "asked", [], raising=False)

    def start(status: int, *, of: x509.Pair = ca) -> str:
        monkeypatch.setattr(Api, "status", status)
        subject = Subject("apiserver", usages=frozenset({"server"}), sans=frozenset({"127.0.0.1"}))
        write(tmp_path / "server.pem", x509.issue(subject, of))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "server.pem")
        if status != 401:  # Python would end the connection, where the API server answers 401
            context.load_verify_locations(cadata=ca.certificate_pem.decode())
            context.verify_mode = ssl.CERT_REQUIRED
        server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"https://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def find(tmp_path: Path, ca: x509.Pair) -> Find:
    (tmp_path / "ca.crt").write_bytes(ca.certificate_pem)

    def find(server: str, *, check_mode: bool = False) -> dict[str, bool]:
        params = {
            "name": "worker1",
            "certificate": str(tmp_path / "client.pem"),
            "ca": str(tmp_path / "ca.crt"),
            "authority": (tmp_path / "ca.crt").read_text(),
            "server": server,
        }
        found: dict[str, bool] = identity.find(params, check_mode=check_mode)
        return found

    return find


@pytest.fixture
def expired(ca: x509.Pair, monkeypatch: pytest.MonkeyPatch) -> x509.Pair:
    with monkeypatch.context() as past:
        past.setattr(x509, "now", lambda: dt.datetime.now(dt.UTC) - x509.LEAF_LIFE - dt.timedelta(minutes=1))
        return client(ca)


SILENT = "https://127.0.0.1:9"


def aside(folder: Path) -> bool:
    return (folder / ("client.pem" + identity.ASIDE)).exists() and not (folder / "client.pem").exists()


def test_a_good_certificate_and_its_node(tmp_path: Path, ca: x509.Pair, serve: Any, find: Find) -> None:
    write(tmp_path / "client.pem", client(ca))
    assert find(serve(200)) == GOOD
    assert Api.asked == [("/api/v1/nodes/worker1", "system:node:worker1")]
    assert not aside(tmp_path)


def test_a_node_that_was_deleted(tmp_path: Path, ca: x509.Pair, serve: Any, find: Find) -> None:
    write(tmp_path / "client.pem", client(ca))
    assert find(serve(404)) == {"exists": True, "registered": False}
    assert not aside(tmp_path)


@pytest.mark.parametrize("status", [0, 401])
def test_an_expired_certificate(
    tmp_path: Path, expired: x509.Pair, serve: Any, find: Find, status: int
) -> None:
    """It is put aside, whether or not the API server answers."""
    write(tmp_path / "client.pem", expired)
    assert find(serve(401) if status else SILENT, check_mode=True) == JOINS
    assert not aside(tmp_path), "in check mode nothing changes"
    assert find(serve(401) if status else SILENT) == JOINS
    assert aside(tmp_path)


def test_a_certificate_that_is_refused(tmp_path: Path, ca: x509.Pair, serve: Any, find: Find) -> None:
    write(tmp_path / "client.pem", client(ca))
    assert find(SILENT) == GOOD, "nobody has refused it"
    assert find(serve(401)) == JOINS
    assert aside(tmp_path)


def test_a_certificate_of_another_ca(tmp_path: Path, find: Find) -> None:
    """Whether or not the API server answers: the CA that signs is known."""
    write(tmp_path / "client.pem", client(authority()))
    assert find(SILENT) == JOINS
    assert aside(tmp_path)


def test_a_server_that_is_not_the_api_server_decides_nothing(
    tmp_path: Path, ca: x509.Pair, serve: Any, find: Find
) -> None:
    write(tmp_path / "client.pem", client(ca))
    for status in (401, 404):
        assert find(serve(status, of=authority())) == GOOD
    assert Api.asked == []


def test_no_certificate(find: Find) -> None:
    assert find(SILENT) == JOINS


def test_a_file_that_is_no_certificate(tmp_path: Path, serve: Any, find: Find) -> None:
    (tmp_path / "client.pem").write_text("cut off")
    assert find(serve(200)) == JOINS
    assert aside(tmp_path)


@pytest.fixture
def part(tmp_path: Path) -> dict[str, Any]:
    """The record of a component that needs the certificate."""
    return {"users": [], "directories": [], "files": {}, "needs": [str(tmp_path / "client.pem")]}


def test_an_expired_certificate_is_drift(
    tmp_path: Path, ca: x509.Pair, expired: x509.Pair, part: dict[str, Any]
) -> None:
    """So ``up`` runs the role kubelet there, which has the kubelet join again."""
    write(tmp_path / "good.pem", client(ca))
    write(tmp_path / "old.pem", expired)
    shutil.copy(tmp_path / "good.pem", tmp_path / "client.pem")
    assert files.file_drift(part) == []
    shutil.copy(tmp_path / "old.pem", tmp_path / "client.pem")
    (drift,) = files.file_drift(part)
    assert (drift["action"], drift["name"]) == ("add", str(tmp_path / "client.pem"))
    (tmp_path / "client.pem").unlink()
    assert files.file_drift(part) == [drift]


def test_other_files_that_are_needed_do_not_expire(tmp_path: Path, part: dict[str, Any]) -> None:
    (tmp_path / "plain").write_text("x")
    assert files.file_drift(part | {"needs": [str(tmp_path / "plain")]}) == []


def test_a_ca_that_is_replaced(tmp_path: Path, ca: x509.Pair, find: Find) -> None:
    """Trusted as long as the other one signs; then the kubelet gets a certificate of the new one."""
    new = authority()
    write(tmp_path / "client.pem", client(ca))
    (tmp_path / "ca.crt").write_bytes(ca.certificate_pem + new.certificate_pem)
    assert find(SILENT) == GOOD
    (tmp_path / "ca.crt").write_bytes(new.certificate_pem + ca.certificate_pem)
    assert find(SILENT, check_mode=True) == JOINS
    assert not aside(tmp_path)
    assert find(SILENT) == JOINS
    assert aside(tmp_path)
