"""Counting the objects of an API server."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from k8sbootstrap.actions.backup.api_objects import ApiError, ApiServer

LIST = ["get", "list"]
PAGES: dict[str, Any] = {
    "/readyz": "ok",
    "/apis/apiregistration.k8s.io/v1/apiservices": {
        "items": [
            {"spec": {"group": "apps", "version": "v1"}},
            {
                "spec": {
                    "group": "metrics.k8s.io",
                    "version": "v1beta1",
                    "service": {"name": "metrics-server"},
                }
            },
        ]
    },
    "/apis": {
        "groups": [
            {"preferredVersion": {"groupVersion": "apps/v1"}},
            {"preferredVersion": {"groupVersion": "events.k8s.io/v1"}},
            {"preferredVersion": {"groupVersion": "metrics.k8s.io/v1beta1"}},
        ]
    },
    "/api/v1": {
        "resources": [
            {"name": "pods", "verbs": LIST},
            {"name": "pods/log", "verbs": ["get"]},
            {"name": "events", "verbs": LIST},
            {"name": "bindings", "verbs": ["create"]},
            {"name": "componentstatuses", "verbs": LIST},
        ]
    },
    "/apis/apps/v1": {"resources": [{"name": "deployments", "verbs": LIST}, {"name": "pods", "verbs": LIST}]},
    "/apis/events.k8s.io/v1": {"resources": [{"name": "events", "verbs": LIST}]},
    "/api/v1/pods?limit=500": {"items": [{}, {}], "metadata": {"continue": "x"}},
    "/api/v1/pods?limit=500&continue=x": {"items": [{}]},
    "/api/v1/events?limit=500": {"items": []},
    "/apis/apps/v1/deployments?limit=500": {"items": [{}]},
    "/apis/apps/v1/pods?limit=500": {"items": [{}]},
}


@pytest.fixture
def pages() -> dict[str, Any]:
    """Path to the answer; a number is a status."""
    return dict(PAGES)


@pytest.fixture
def api(pages: dict[str, Any]) -> Iterator[ApiServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = pages.get(self.path, 404)
            self.send_response(found if isinstance(found, int) else 200)
            self.end_headers()
            body = {"message": "it is encrypted"} if isinstance(found, int) else found
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield ApiServer(f"http://127.0.0.1:{server.server_port}", "", "", "")
        server.shutdown()


def test_all_objects_are_read_once(api: ApiServer) -> None:
    found = api.count()
    assert dict(found.objects) == {"pods": 3, "deployments.apps": 1, "pods.apps": 1}
    assert found.total == 5
    assert found.served_elsewhere == ("metrics.k8s.io/v1beta1",)
    assert not found.unreadable


def test_objects_that_cannot_be_read_are_named(api: ApiServer, pages: dict[str, Any]) -> None:
    pages["/api/v1/pods?limit=500&continue=x"] = 500
    assert dict(api.count().unreadable) == {"pods": "/api/v1/pods: it answers 500: it is encrypted"}


def test_what_is_no_answer(api: ApiServer, pages: dict[str, Any]) -> None:
    pages["/apis"] = []
    with pytest.raises(ApiError, match="/apis: it answers 200"):
        api.count()
    assert api.why_not_ready() == ""
    pages["/readyz"] = 500
    assert api.why_not_ready().startswith("it answers 500: ")


def test_nobody_listens() -> None:
    assert "refused" in ApiServer("http://127.0.0.1:1", "", "", "").why_not_ready()
