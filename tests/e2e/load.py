"""Requests made on a lab host while something happens to the cluster: how many, and how many were lost."""

from __future__ import annotations

import json
import re
import shlex
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from labs import Lab

_LOOP = """
import json, os, ssl, sys, time, urllib.request
url, stop, cert = sys.argv[1:]
CUT = ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError
known = None
def context():
    global known
    try:
        if cert:
            new = ssl.create_default_context(cafile="/var/lib/kubelet/pki/ca.crt")
            new.load_cert_chain(cert)
            known = new
    except OSError:
        if not known:
            raise
    return known
def get():
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context()))
    with opener.open(url, timeout=30) as answer:
        answer.read()
sent, again, lost, slowest = 0, 0, [], 0.0
while not os.path.exists(stop):
    began = time.time()
    sent += 1
    try:
        try:
            get()
        except OSError as error:
            if not cert or not isinstance(getattr(error, "reason", error), CUT):
                raise
            again += 1
            get()
    except Exception as error:
        lost.append([round(began, 2), repr(error)])
    slowest = max(slowest, time.time() - began)
    time.sleep(0.03)
print(json.dumps({"sent": sent, "again": again, "lost": lost, "slowest": round(slowest, 2)}))
"""
"""Every request is a connection of its own, and any answer but 2xx in 30 s is a loss.

With a certificate it is a read of the API, and tried once more when its connection was cut, also within TLS's
handshake, as Kubernetes' clients do: haproxy cuts those to an API server that is too slow to say it is ready,
as on a busy machine. Certificates are read again for each request; the old ones are used while the kubelet
gets a new one.
"""
_WATCH = """
import http.client, json, os, ssl, sys, threading, time, urllib.request
url, stop, cert = sys.argv[1:]
CUT = ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError
nodes, _, name = url.rpartition("/")
context = ssl.create_default_context(cafile="/var/lib/kubelet/pki/ca.crt")
context.load_cert_chain(cert)
opener = urllib.request.build_opener(
    urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
written, seen, again, opened, lost, done = {}, {}, 0, 0, [], threading.Event()
def write(number):
    body = json.dumps({"metadata": {"annotations": {"load": str(number)}}}).encode()
    kind = {"Content-Type": "application/merge-patch+json"}
    with opener.open(urllib.request.Request(url, body, kind, method="PATCH"), timeout=30) as answer:
        return json.load(answer)["metadata"]["resourceVersion"]
def follow(version):
    global opened
    while not done.is_set():
        opened += 1
        query = f"?watch=1&fieldSelector=metadata.name={name}&resourceVersion={version}"
        try:
            with opener.open(nodes + query, timeout=60) as answer:
                for line in answer:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        lost.append([round(time.time(), 2), line.decode()])
                        return
                    version = event["object"]["metadata"]["resourceVersion"]
                    seen.setdefault(event["object"]["metadata"]["annotations"]["load"], time.time())
        except (OSError, ValueError, http.client.HTTPException):
            time.sleep(0.1)
follower = threading.Thread(target=follow, args=[write(0)], daemon=True)
follower.start()
while not os.path.exists(stop):
    number = len(written) + 1
    began = written[str(number)] = time.time()
    try:
        try:
            write(number)
        except OSError as error:
            if not isinstance(getattr(error, "reason", error), CUT):
                raise
            again += 1
            write(number)
    except Exception as error:
        lost.append([round(began, 2), repr(error)])
    time.sleep(0.2)
deadline = time.time() + 20
while written.keys() - seen.keys() and time.time() < deadline:
    time.sleep(0.1)
done.set()
lost += [[round(written[number], 2), "not seen"] for number in written.keys() - seen.keys()]
slowest = max(seen[number] - written[number] for number in seen.keys() & written.keys())
print(json.dumps(
    {"sent": len(written), "again": again, "lost": lost, "slowest": round(slowest, 2), "opened": opened}))
"""
"""Writes to an object and watches it: a write that is not answered, or not seen by the watch, is a loss.

As Kubernetes' clients do, a watch that ends is opened anew where it ended.
"""
WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 15
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector: {matchLabels: {app: web}}
      containers:
        - name: web
          image: docker.io/library/busybox:1.35.0
          imagePullPolicy: IfNotPresent
          command:
            - sh
            - -c
            - mkdir /www; hostname >/www/index.html; trap 'exit 0' TERM; httpd -f -p 8080 -h /www & wait
          readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
          lifecycle: {preStop: {exec: {command: [sleep, "5"]}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec:
  maxUnavailable: 2
  selector: {matchLabels: {app: web}}
"""
"""A Service as users are told to make one that upgrades don't disturb."""
KUBELET_CLIENT = "/var/lib/kubelet/pki/kubelet-client-current.pem"


@dataclass(frozen=True)
class Counted:
    """What became of the requests of one loop."""

    name: str
    sent: int
    again: int
    """Sent a second time because the connection was cut."""
    lost: list[tuple[float, str]]
    slowest: float
    """Seconds that the slowest took."""
    opened: int = 0
    """How often the watch was opened, where it is one."""

    def __str__(self) -> str:
        counts = f"{self.sent} requests, {self.again} sent again, {len(self.lost)} lost"
        watch = f", watch opened {self.opened} times" if self.opened else ""
        return f"{self.name}: {counts}, slowest {self.slowest} s{watch}"


@dataclass
class Load:
    """A loop that runs."""

    name: str
    lab: Lab
    host: str
    process: subprocess.Popen[str]

    def end(self) -> Counted:
        """Stop it, and count."""
        self.lab.sh(self.host, f"touch {_stop_file(self.name)}")
        said, _ = self.process.communicate(timeout=60)
        self.lab.sh(self.host, f"rm {_stop_file(self.name)}")
        return Counted(self.name, **json.loads(said.splitlines()[-1]))


@contextmanager
def load(lab: Lab, name: str, host: str, url: str, cert: str = "", *, watch: bool = False) -> Iterator[Load]:
    """Make requests on a host until the block ends; ``end`` counts them."""
    command = shlex.join(["python3", "-c", _WATCH if watch else _LOOP, url, _stop_file(name), cert])
    process = lab.start("lab", "exec", host, "--", "sh", "-c", command)
    try:
        yield Load(name, lab, host, process)
    finally:
        process.kill()


def turned_away(lab: Lab, worker: str, since: float) -> set[str]:
    """Masters that a worker's haproxy sent nothing new to because their API servers said that they stop.

    Args:
        lab: The lab.
        worker: Name of the worker.
        since: Seconds since 1970.
    """
    journal = lab.sh(worker, f"journalctl --no-pager -u haproxy -o cat --since=@{int(since)}")
    return set(re.findall(r"masters/(\S+) is stopping", journal))


def _stop_file(name: str) -> str:
    return f"/run/{name}.stop"
