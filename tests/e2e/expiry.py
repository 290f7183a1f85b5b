"""Certificates on real hosts: which ones the ports serve, and a cluster in which all have run out."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
from typing import TYPE_CHECKING
from unittest import mock

from cryptography import x509

from k8sbootstrap.lab import model
from k8sbootstrap.pki import x509 as own
from k8sbootstrap.pki.choice import Choice
from k8sbootstrap.pki.issue import ensure_pki
from k8sbootstrap.pki.store import Store
from k8sbootstrap.pki.table import CA, Subject
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.state import State

if TYPE_CHECKING:
    import datetime as dt

    from labs import Lab

PORTS = {"master": (6443, 2379, 2380, 10250), "worker": (10250,)}
"""Ports that serve a certificate, by role."""
KUBELET = "/var/lib/kubelet/pki/kubelet-client-current.pem"
ON_HOST = f"""
import base64, hashlib, json, os
new = json.load(open("/root/expired.json"))
path = "/var/lib/k8sbootstrap/record.json"
record = json.load(open(path))
put = 0
for part in record["components"].values():
    for name, entry in part["files"].items():
        if entry["sha256"] in new:
            content = base64.b64decode(new[entry["sha256"]])
            with open(name, "wb") as file:
                file.write(content)
            entry["sha256"], entry["stat"] = hashlib.sha256(content).hexdigest(), None
            put += 1
json.dump(record, open(path, "w"))
with open(os.path.realpath("{KUBELET}"), "wb") as file:
    file.write(base64.b64decode(new["kubelet"]))
os.unlink("/root/expired.json")
print(put)
"""
"""As time does it, it leaves hosts as they are recorded: nobody has changed anything."""


def serials(lab: Lab) -> dict[tuple[str, int], int]:
    """(host, port) to the serial number of the certificate that is served there."""
    found = {}
    for host in lab.config["hosts"]:
        for port in (port for role in host["roles"] for port in PORTS[role]):
            pem = ssl.get_server_certificate((host["address"], port), timeout=10)
            found[host["name"], port] = x509.load_pem_x509_certificate(pem.encode()).serial_number
    return found


def leave(lab: Lab, life: dt.timedelta) -> None:
    """Let all certificates but the CAs' have little time left, or none, on this machine and on all hosts.

    Args:
        lab: The lab, with a cluster.
        life: What is left; less than 0 when they have expired.
    """
    plan, state = load_plan(lab.file), State.beside(lab.file, lab.config["name"])
    before = {path: path.read_bytes() for path in state.pki.rglob("*") if path.is_file()}
    with mock.patch.object(own, "LEAF_LIFE", life):
        ensure_pki(plan, state, Choice(every=True))
        ca = Store(state).authority(CA)
        nodes = {name: own.issue(Subject(f"system:node:{name}", ("system:nodes",)), ca) for name in lab.hosts}
    renewed = {
        hashlib.sha256(content).hexdigest(): base64.b64encode(path.read_bytes()).decode()
        for path, content in before.items()
        if path.read_bytes() != content
    }
    hosts = model.require(lab.file)
    for name, pair in nodes.items():
        pem = base64.b64encode(pair.certificate_pem + pair.key_pem).decode()
        file = hosts.root(hosts.host(name)) / "root/expired.json"
        file.write_text(json.dumps(renewed | {"kubelet": pem}))
        assert int(lab.sh(name, f"python3 - <<'END'\n{ON_HOST}END")) > 1, name
