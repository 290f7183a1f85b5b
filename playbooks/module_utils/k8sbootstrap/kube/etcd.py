"""What a host has of etcd, and the permission to start a member without data.

A member without data either begins a new cluster or takes part in one without what it has confirmed there. So
its unit (roles/etcd) starts it only where the file ``BEGIN`` names the state to start in; it is written here,
removed by the unit as soon as the member is ready, and gone after a boot.
"""

from __future__ import annotations

import base64
import contextlib
import glob
import http.client
import json
import os
import re
from collections.abc import Iterator
from typing import Any

from ansible.module_utils.k8sbootstrap.host.record import EtcdMember, Record, write_atomically
from ansible.module_utils.k8sbootstrap.host.request import Etcd
from ansible.module_utils.k8sbootstrap.host.units import tls
from ansible.module_utils.k8sbootstrap.kube.etcd_join import initial_cluster, peer_url

DATA = "/var/lib/etcd"
BEGIN = "/run/k8sbootstrap/etcd-begin"
UNIT = "/etc/systemd/system/etcd.service"
API_UNIT = "/etc/systemd/system/kube-apiserver.service"
JOINED = "/var/lib/kubelet/pki/kubelet-client-current.pem"
PKI = "/etc/etcd/pki"
PORT = 2379
TIMEOUT = 3.0
"""Seconds that the host's own member has for one answer."""
_BIGGEST = 1 << 18
"""Bytes of an answer that are read: a member list has a few hundred for each member."""


def look(record: Record) -> dict[str, Any]:
    """What the host has of etcd. Changes nothing.

    Returns:
        ``cluster``: name of the cluster in the record, empty where there is none. ``data``: whether a member
        has written its log here. ``changed``: when something last came into the data folder or went from it,
        in seconds since 1970; 0 where there is no such folder. ``members``: name → address, of the cluster
        that the member here was made for; empty where there is no record of one. ``formed``: that member was
        well once. ``api``: addresses of the members that the API server here uses. ``joined``: the host is a
        node. ``restoring``: id of a restore that was begun and has not ended. ``living``: what its own member
        reports (see ``ask``); None where it does not answer.
    """
    try:
        living = ask() if os.path.exists(PKI + "/healthcheck-client.key") else None
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
        living = None
    try:
        changed = int(os.stat(DATA).st_mtime)
    except OSError:
        changed = 0
    components = record.data["components"]
    kubelet = components.get("kubelet")
    return {
        "cluster": record.data["cluster"],
        "data": has_data(),
        "changed": changed,
        **recorded(record),
        "api": sorted(set(_addresses(API_UNIT, "etcd-servers"))) if "kube_apiserver" in components else [],
        "restoring": record.data["etcd"].get("restoring", ""),
        "joined": kubelet is not None and (bool(kubelet.get("digest")) or os.path.exists(JOINED)),
        "living": living,
    }


def has_data() -> bool:
    """Whether a member has written its log here; etcd itself goes by that."""
    return bool(glob.glob(DATA + "/member/wal/*.wal"))


def recorded(record: Record) -> EtcdMember:
    """``members`` and ``formed`` of ``look``, from the record.

    A host that an older version of this program installed has them in its unit: the member was started as
    soon as that was there, so it counts as formed even if its data is gone.
    """
    if record.data["etcd"]:
        etcd = record.data["etcd"]
        return {"members": etcd.get("members", {}), "formed": etcd.get("formed", False)}
    part = record.data["components"].get("etcd")
    if part is None or UNIT not in part.get("files", {}):
        return {"members": {}, "formed": False}
    return {"members": _initial_cluster(), "formed": bool(part.get("digest") or part.get("units"))}


def ask() -> dict[str, Any]:
    """What the host's own member reports.

    Returns:
        ``cluster`` (id, hexadecimal), ``members`` (list of ``id``, ``name``, ``urls`` of peers, and
        ``started``: it has been ready once), ``revision``, and ``objects`` (how many Kubernetes has there).

    Raises:
        OSError, http.client.HTTPException: It does not answer.
        ValueError, KeyError, TypeError: It is no etcd that we know.
    """
    client = PKI + "/healthcheck-client"
    context = tls({"ca": PKI + "/ca.crt", "cert": client + ".crt", "key": client + ".key"})
    connection = http.client.HTTPSConnection("127.0.0.1", PORT, timeout=TIMEOUT, context=context)
    try:
        # what this member itself has: it answers without a quorum too
        known = _post(connection, "/v3/cluster/member/list", {"linearizable": False})
        keys = {"key": _base64("/registry/"), "range_end": _base64("/registry0"), "count_only": True}
        counted = _post(connection, "/v3/kv/range", dict(keys, serializable=True))
    finally:
        connection.close()
    return {
        "cluster": format(int(known["header"]["cluster_id"]), "x"),
        "members": [
            {
                "id": format(int(member["ID"]), "x"),
                "name": str(member.get("name", "")),
                "urls": [str(url) for url in member.get("peerURLs", [])],
                "started": bool(member.get("clientURLs")),
            }
            for member in known["members"]
        ],
        "revision": int(counted["header"]["revision"]),
        "objects": int(counted.get("count", 0)),
    }


@contextlib.contextmanager
def permitted(record: Record, wanted: Etcd) -> Iterator[None]:
    """Let the member start without data while the block runs, or see that it can't.

    Args:
        record: What the member is made for is written down first: a run that is killed then leaves that.
        wanted: The planned members, and the state to start in. Empty for other components than etcd.
    """
    if not wanted or record.check_mode:
        yield
        return
    try:
        if wanted.get("restoring"):
            withdraw()
            mark(record, wanted["restoring"])
        elif wanted["begin"] and not has_data():
            record.data["etcd"] = {"members": wanted["members"], "formed": False}
            record.save()
            os.makedirs(os.path.dirname(BEGIN), mode=0o755, exist_ok=True)
            write_atomically(BEGIN, f"{wanted['begin']} {_first_members(wanted)}\n".encode(), 0o644, 0, 0)
        else:
            withdraw()
            if not record.data["etcd"]:  # an older version of this program began it
                record.data["etcd"] = recorded(record)
        yield
    finally:
        withdraw()


def _first_members(wanted: Etcd) -> str:
    """The members that one without data starts with. It joins those that run, or they begin together.

    Raises:
        UnitError: It can't join.
    """
    if wanted["begin"] == "existing":
        return initial_cluster(wanted["name"], wanted["members"])
    return ",".join(f"{name}={peer_url(address)}" for name, address in wanted["members"].items())


def withdraw() -> None:
    """See that no member can start without data."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(BEGIN)


def mark(record: Record, identity: str) -> None:
    """Write down that a restore has begun: nothing else starts etcd here until it has ended."""
    etcd = record.data["etcd"]
    # one that was placed by this restore may have confirmed writes since: it is never placed again
    placed = identity if etcd.get("placed") == identity else ""
    record.data["etcd"] = {**etcd, "restoring": identity, "placed": placed}
    record.save()


def note_formed(record: Record, members: dict[str, str]) -> None:
    """Write down that the member is well, in a cluster of these members (name → address)."""
    record.data["etcd"] = {"members": members, "formed": True}
    record.save()


def _post(connection: http.client.HTTPSConnection, path: str, body: dict[str, Any]) -> dict[str, Any]:
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    text = response.read(_BIGGEST)
    if response.status != 200:
        raise ValueError(f"{path} answered {response.status}")
    answer: dict[str, Any] = json.loads(text)
    return answer


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _flag(path: str, name: str) -> str:
    """The value of a flag in a unit; empty where it is not there."""
    try:
        with open(path, encoding="utf-8") as handle:
            found = re.search(rf"--{name}=([^\s\"']*)", handle.read())
    except OSError:
        return ""
    return found.group(1) if found else ""


def _addresses(path: str, name: str) -> list[str]:
    return [url.split("://")[-1].rsplit(":", 1)[0] for url in _flag(path, name).split(",") if url]


def _initial_cluster() -> dict[str, str]:
    names = [pair.split("=")[0] for pair in _flag(UNIT, "initial-cluster").split(",") if pair]
    return dict(zip(names, _addresses(UNIT, "initial-cluster")))
