import socket
import threading
import time

import pytest

from k8sbootstrap.artifacts import web as web_module
from k8sbootstrap.artifacts.web import NoAnswerError, NotThereError, Web, WebError, is_bypassed
from k8sbootstrap.config.models.network import Proxy


@pytest.fixture
def web(server):  # the server's fixture clears the environment's proxies
    return Web(Proxy(), threading.Event())


@pytest.mark.parametrize(
    ("host", "no_proxy", "bypassed"),
    [
        ("mirror.example.com", ["example.com"], True),
        ("mirror.example.com", [".example.com"], True),
        ("mirror.example.com", ["*.example.com"], True),
        ("badexample.com", ["example.com"], False),
        ("10.1.2.3", ["10.0.0.0/8"], True),
        ("11.1.2.3", ["10.0.0.0/8"], False),
        ("10.1.2.3", ["10.1.2.3"], True),
        ("[fd00::1]", ["fd00::/8"], True),
        ("any.host", ["*"], True),
        ("any.host", [], False),
    ],
)
def test_no_proxy(host, no_proxy, bypassed):
    assert is_bypassed(host, no_proxy) is bypassed


def test_proxy_of_the_cluster_is_used_with_its_password(new_server):
    proxy, target = new_server(), new_server()
    target.files = proxy.files = {"/file": b"content"}
    address = proxy.url.replace("://", "://user:hunter2@")
    web = Web(Proxy(http=address), threading.Event())
    assert web.text(f"{target.url}/file") == "content"
    assert proxy.requests == [("GET", f"{target.url}/file")]
    assert "proxy-authorization" in proxy.headers[0]
    assert not target.requests
    direct = Web(Proxy(http=address, no_proxy=["127.0.0.0/8"]), threading.Event())
    assert direct.text(f"{target.url}/file") == "content"
    assert target.requests


def test_proxy_of_the_environment_is_used_when_the_cluster_has_none(new_server, monkeypatch):
    proxy, target = new_server(), new_server()
    proxy.files = {"/file": b"content"}
    monkeypatch.setenv("http_proxy", proxy.url)
    assert Web(Proxy(), threading.Event()).text(f"{target.url}/file") == "content"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(NotThereError):
        Web(Proxy(), threading.Event()).text(f"{target.url}/file")


def test_a_dead_proxy_is_said_to_be_one(new_server):
    web = Web(Proxy(http="http://127.0.0.1:9"), threading.Event())
    with pytest.raises(NoAnswerError, match=r"no answer \(proxy: Connection refused\)"):
        web.text("http://mirror.example.com/file")


def test_a_resolver_that_hangs_costs_seconds(web, monkeypatch):
    monkeypatch.setattr(web_module, "CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(web_module.socket, "getaddrinfo", lambda *_: time.sleep(2))
    start = time.monotonic()
    with pytest.raises(NoAnswerError, match="not resolved within"):
        web.text("http://mirror.example.com/file")
    assert time.monotonic() - start < 1


def test_an_unknown_name_is_said_to_be_one(web, monkeypatch):
    def unknown(*_args):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(web_module.socket, "getaddrinfo", unknown)
    with pytest.raises(NoAnswerError, match="its name cannot be resolved"):
        web.text("http://nowhere.invalid/file")


def test_a_silent_server_is_given_up_and_not_asked_again(server, monkeypatch):
    monkeypatch.setattr(web_module, "READ_SECONDS", 0.2)
    server.delay = 1.0
    web = Web(Proxy(), threading.Event())
    for _ in range(2):
        with pytest.raises(NoAnswerError, match="no data for"):
            web.text(f"{server.url}/file")
    assert len(server.requests) == 1


def test_a_transfer_that_keeps_breaking_is_given_up(web, server, tmp_path):
    server.files = {"/file": b"x" * 100}

    class Always(dict):
        def pop(self, *_args):
            return 10

    server.break_after = Always()
    with pytest.raises(NoAnswerError, match="the connection broke after 30 bytes"):
        web.download(f"{server.url}/file", tmp_path / "file", lambda *_: None)


def test_a_stopped_run_ends_its_downloads(server, tmp_path):
    server.files = {"/file": b"x" * (3 << 20)}
    stopped = threading.Event()
    web = Web(Proxy(), stopped)
    with pytest.raises(WebError, match="stopped"):
        web.download(f"{server.url}/file", tmp_path / "file", lambda *_: stopped.set())
    assert (tmp_path / "file").stat().st_size < 3 << 20
    with pytest.raises(WebError, match="stopped"):
        web.text(f"{server.url}/file")
    assert len(server.requests) == 1


def test_no_redirect_leads_from_tls_to_a_server_without(server, new_tls_server, tmp_path):
    secure = new_tls_server()
    server.files = {"/file": b"from somebody in between"}
    secure.redirects = {"/file": f"{server.url}/file"}
    web, url = Web(Proxy(), threading.Event()), f"{secure.url}/file"
    for ask in (web.text, lambda url: web.download(url, tmp_path / "file", lambda *_: None)):
        with pytest.raises(WebError, match="redirects from https:// to http://, which is refused"):
            ask(url)
    assert not server.requests
    assert not web.exists(url)


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://host/file", "https://[", "http://host:port/"]
)
def test_a_redirect_leads_to_servers_alone(web, server, location):
    server.redirects = {"/file": location}
    with pytest.raises(WebError, match="redirects to something that is n"):
        web.text(f"{server.url}/file")


def test_a_redirect_is_followed_and_a_circle_of_them_is_not(web, server, new_server):
    other = new_server()
    other.files = {"/there": b"content"}
    server.redirects = {"/file": f"{other.url}/there", "/circle": "/circle", "/near": "/file"}
    assert web.text(f"{server.url}/near") == "content"
    with pytest.raises(WebError, match="redirects more than 5 times"):
        web.text(f"{server.url}/circle")


def test_a_login_in_a_url_is_for_its_server_alone_and_never_without_tls(server, new_tls_server):
    first, second = new_tls_server(), new_tls_server()
    second.files = {"/file": b"content"}
    first.redirects = {"/file": "/same", "/same": f"{second.url}/file"}
    web = Web(Proxy(), threading.Event())
    assert web.text(first.url.replace("://", "://robot:hunter2@") + "/file") == "content"
    assert ["authorization" in headers for headers in (*first.headers, *second.headers)] == [
        True,
        True,
        False,
    ]
    with pytest.raises(WebError, match="its URL contains a login, which is sent only over TLS"):
        web.text(server.url.replace("://", "://robot:hunter2@") + "/file")
    assert not server.requests
