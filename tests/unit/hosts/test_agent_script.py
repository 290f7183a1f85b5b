"""The agent as hosts run it: a fresh python3 that reads it from standard input."""

import base64
import http.server
import socket
import ssl
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from k8sbootstrap.errors import HostError
from k8sbootstrap.hosts.answers import ANSWER, Answer, Get, Request, RunCommand
from k8sbootstrap.hosts.ask import PYTHON, read
from k8sbootstrap.hosts.scripts import agent


def ask(request: Request) -> Answer:
    question = request.question()
    done = subprocess.run(
        ["sh", "-c", PYTHON],
        input=f"{question.argument}\n".encode() + question.program,
        capture_output=True,
        timeout=30,
        check=True,
    )
    return read("m1", done.stdout.decode(), ANSWER)


class Pages(http.server.BaseHTTPRequestHandler):
    sick_for = 0
    asked = 0

    def do_GET(self):
        type(self).asked += 1
        sick = self.path == "/sick" or (self.path == "/later" and self.asked <= self.sick_for)
        self.send_response(500 if sick else 200)
        self.end_headers()
        self.wfile.write(b"not well" if sick else b"ok\n")

    def log_message(self, *args):
        pass


@pytest.fixture
def pages():
    return type("MyPages", (Pages,), {})


def serve(handler, context=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture
def url(pages):
    server = serve(pages)
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def pair(tmp_path) -> Path:
    """A self-signed certificate for 127.0.0.1 as server.crt and server.key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    address = x509.IPAddress(IPv4Address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(hours=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "server.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "server.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return tmp_path


def test_good_sick_and_dead_endpoints_in_one_request(url):
    answer = ask(
        Request(
            http={"good": Get(f"{url}/good"), "sick": Get(f"{url}/sick"), "dead": Get("http://127.0.0.1:9/")}
        )
    )
    assert answer.http["good"].ok
    assert {name: each.connected for name, each in answer.http.items()} == {
        "good": True,
        "sick": True,
        "dead": False,
    }
    assert answer.http["good"].body == "ok"
    assert answer.http["sick"].said == "HTTP 500 not well"
    assert answer.http["dead"].status == 0
    assert "refused" in answer.http["dead"].said


def test_a_request_with_time_left_is_tried_again(url, pages, monkeypatch):
    monkeypatch.setattr(agent, "POLL", 0.01)
    pages.sick_for = 3
    assert agent.get({"url": f"{url}/later", "within": 5})["status"] == 200
    pages.asked = 0
    assert agent.get({"url": f"{url}/later"})["status"] == 500


def test_a_connection_that_is_never_answered_is_not_the_only_try(pages, monkeypatch):
    """As one to a Service that was opened before kube-proxy had its rules."""

    def hang_once(self):
        type(self).asked += 1
        if self.asked == 1:
            stop.wait(10)
        else:
            Pages.do_GET(self)

    stop = threading.Event()
    pages.do_GET = hang_once
    server = serve(pages)
    monkeypatch.setattr(agent, "TRY_TIMEOUT", 0.2)
    found = agent.get({"url": f"http://127.0.0.1:{server.server_port}/", "within": agent.HTTP_TIMEOUT})
    stop.set()
    assert (found["status"], found["error"]) == (200, "")
    assert found["seconds"] < agent.HTTP_TIMEOUT
    server.shutdown()
    server.server_close()


def test_proxies_of_the_environment_are_ignored(url, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert ask(Request(http={"good": Get(f"{url}/good")})).http["good"].ok


def test_tls_is_verified_where_a_ca_is_named(pages, pair):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair / "server.crt", pair / "server.key")
    server = serve(pages, context)
    url, ca = f"https://127.0.0.1:{server.server_port}/", str(pair / "server.crt")
    try:
        answer = ask(
            Request(
                http={
                    "unverified": Get(url),
                    "verified": Get(url, ca=ca),
                    "other ca": Get(url, ca="/etc/ssl/certs/ca-certificates.crt"),
                    "no ca": Get(url, ca="/nonexistent/ca.crt"),
                    "no client certificate": Get(url, ca=ca, cert="/nonexistent/client.pem"),
                }
            )
        )
    finally:
        server.shutdown()
        server.server_close()
    assert answer.http["unverified"].ok
    assert answer.http["verified"].ok
    assert not answer.http["other ca"].ok
    assert "No such file or directory: '/nonexistent/ca.crt'" in answer.http["no ca"].said
    assert "'/nonexistent/client.pem'" in answer.http["no client certificate"].said


def test_commands(tmp_path):
    answer = ask(
        Request(
            run={
                "good": RunCommand(("echo", "it's; $HOME")),
                "bad": RunCommand(("sh", "-c", "echo words >&2; exit 3")),
                "absent": RunCommand(("/nonexistent/etcdctl",)),
                "slow": RunCommand(("sleep", "5"), timeout=0.2),
                "stdin": RunCommand(("cat",)),
                "much": RunCommand(("seq", "1000000"), most=4),
                "path": RunCommand(("sh", "-c", "echo $PATH")),
            }
        )
    )
    assert answer.run["good"].stdout == "it's; $HOME\n"
    assert (answer.run["bad"].rc, answer.run["bad"].said) == (3, "words")
    assert answer.run["absent"].rc == 127
    assert (answer.run["slow"].rc, answer.run["slow"].said) == (124, "no answer in 0.2 s")
    assert answer.run["stdin"].stdout == ""  # the request and the agent are not a command's to read
    assert answer.run["much"].stdout == "1\n2\n"
    assert "/usr/sbin" in answer.run["path"].stdout.strip().split(":")


def test_a_server_that_does_not_answer_and_the_time_of_the_host():
    begun = time.time()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        answer = ask(Request(http={"silent": Get(url, timeout=0.3)}))
    assert answer.http["silent"].said == "timed out"
    assert answer.http["silent"].seconds < 5
    assert begun < answer.clock[0] < answer.clock[1] - 0.3 < time.time()


def test_certificates_come_without_their_keys(pair):
    certificate, key = (pair / "server.crt").read_text(), (pair / "server.key").read_text()
    (pair / "both.pem").write_text(key + certificate)
    encoded = base64.b64encode(certificate.encode()).decode()
    (pair / "admin.conf").write_text(
        f"users:\n- user:\n    client-certificate-data: {encoded}\n"
        f"    client-key-data: {base64.b64encode(key.encode()).decode()}\n"
    )
    request = Request(certificates=[f"{pair}/*.pem", f"{pair}/*.conf", f"{pair}/*.key", "/nonexistent/*"])
    found = ask(request).certificates
    assert set(found) == {f"{pair}/both.pem", f"{pair}/admin.conf"}
    assert {pem.strip() for pem in found.values()} == {certificate.strip()}


def test_a_request_longer_than_a_command_line(tmp_path):
    words = "x" * 300_000
    answer = ask(Request(run={words: RunCommand(("true",))}))
    assert answer.run[words].rc == 0


@pytest.mark.parametrize("text", ["", "Sorry, try again.", '{"http": {"a": 1}, "run": {}}', "[]"])
def test_what_is_no_answer_is_refused(text):
    with pytest.raises(HostError, match="m1: its answer"):
        read("m1", text, ANSWER)
