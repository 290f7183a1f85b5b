import threading
from http.server import ThreadingHTTPServer

import pytest

from .helpers import Server, Site, handler


@pytest.fixture
def new_server(monkeypatch):
    """Starts servers on 127.0.0.1."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    running = []

    def start() -> Server:
        server = Server()
        httpd = ThreadingHTTPServer(("127.0.0.1", 0), handler(server))
        httpd.daemon_threads = True
        httpd.handle_error = lambda *_: None  # clients that hang up are part of the tests
        threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        server.url = f"http://127.0.0.1:{httpd.server_address[1]}"
        running.append(httpd)
        return server

    yield start
    for httpd in running:
        httpd.shutdown()
        httpd.server_close()


@pytest.fixture
def server(new_server) -> Server:
    return new_server()


@pytest.fixture
def site(tmp_path) -> Site:
    return Site(tmp_path)
