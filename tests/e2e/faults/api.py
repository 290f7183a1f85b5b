"""The API servers of a lab's masters, asked directly from this machine, which no fault of a host stops."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from labs import Lab

TIMEOUT = 5
"""Seconds that an answer may take."""
REST = 10
"""Seconds in which a master that did not answer is asked nothing, unless none did."""
NO_ANSWER = (OSError, http.client.HTTPException, ValueError)
"""What asking an API server raises that does not answer, or answers nonsense."""


class Api:
    """Asks the masters in turn."""

    def __init__(self, masters: list[str], hosts: list[str], context: ssl.SSLContext) -> None:
        self.masters = masters
        self.hosts = hosts
        self._context = context
        self._next = 0
        self._rests_until = dict.fromkeys(masters, 0.0)

    @classmethod
    def of(cls, lab: Lab) -> Api:
        """The API of a lab's cluster."""
        masters = [lab.address(name) for name in lab.hosts if name.startswith("master")]
        return cls(masters, lab.hosts, _context(lab.state / "admin.kubeconfig"))

    def other(self) -> Api:
        """The same API, with turns of its own."""
        return Api(self.masters, self.hosts, self._context)

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Ask the master whose turn it is.

        Returns:
            The status of its answer, and the answer. 0 where there was none.
        """
        turns = [self.masters[(self._next + each) % len(self.masters)] for each in range(len(self.masters))]
        self._next += 1
        now = time.monotonic()
        awake = [address for address in turns if self._rests_until[address] <= now]
        address = (awake or sorted(turns, key=lambda each: self._rests_until[each]))[0]
        try:
            status, answer = self.ask_master(address, method, path, body)
        except NO_ANSWER as error:
            status, answer = 0, repr(error)
        if status == 0 or status >= 500:
            self._rests_until[address] = time.monotonic() + REST
        return status, answer

    def ask_master(self, address: str, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Ask this master, on a connection of its own; raises one of NO_ANSWER."""
        connection = http.client.HTTPSConnection(address, 6443, timeout=TIMEOUT, context=self._context)
        try:
            headers = {"Content-Type": "application/json", "Accept": "application/json"}
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            text = answer.read()
            kind = answer.getheader("Content-Type", "")
            return answer.status, json.loads(text) if "json" in kind else text.decode()
        finally:
            connection.close()

    def items(self, path: str) -> Iterator[dict[str, Any]]:
        """All objects of a list. Asks again for a minute where nobody answers."""
        deadline, token = time.monotonic() + 60, ""
        while True:
            status, answer = self.ask("GET", f"{path}?limit=500&continue={token}")
            if status == http.client.OK:
                yield from answer["items"]
                token = answer["metadata"].get("continue", "")
                if not token:
                    return
            else:
                assert time.monotonic() < deadline, f"{path}: {status} {answer}"
                time.sleep(0.5)

    def not_well(self, since: float) -> str:
        """What is not well; empty where all is.

        All API servers are ready, with their own members of etcd, and all nodes are: each has said so since.

        Args:
            since: Seconds since 1970.
        """
        try:
            for address in self.masters:
                status, _ = self.ask_master(address, "GET", "/readyz")
                if status != http.client.OK:
                    return f"{address}: /readyz answers {status}"
            address = self.masters[0]
            nodes = self.ask_master(address, "GET", "/api/v1/nodes")[1]["items"]
            leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
            renewed = {
                lease["metadata"]["name"]: datetime.fromisoformat(lease["spec"]["renewTime"]).timestamp()
                for lease in self.ask_master(address, "GET", leases)[1]["items"]
            }
        except (*NO_ANSWER, KeyError, TypeError) as error:
            return f"{address}: {error!r}"
        ready = {node["metadata"]["name"] for node in nodes if ("Ready", "True") in _conditions(node)}
        missing = [name for name in self.hosts if name not in ready or renewed.get(name, 0.0) < since]
        return f"not ready, or silent: {', '.join(missing)}" if missing else ""


def _conditions(node: dict[str, Any]) -> set[tuple[str, str]]:
    return {(each["type"], each["status"]) for each in node["status"]["conditions"]}


def _context(kubeconfig: Path) -> ssl.SSLContext:
    """The administrator's certificate as it is now: it stays valid when it is renewed meanwhile."""
    config = yaml.safe_load(kubeconfig.read_text())
    user = config["users"][0]["user"]
    authority = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
    pair = kubeconfig.with_name("admin.pem")
    pair.touch(mode=0o600)
    pair.write_bytes(
        base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"])
    )
    context = ssl.create_default_context(cadata=authority)
    context.load_cert_chain(pair)
    pair.unlink()
    return context
