"""Reads the output of programs on hosts into types. It runs nothing, so recorded output tests it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from k8sbootstrap.hosts.answers import RunAnswer

_SnapshotName = Annotated[str, Field(pattern=r"^[\w.-]{1,200}\.db(\.gz)?$")]
_Bytes = Annotated[int, Field(ge=0, lt=2**63)]
_MANY = 1000
"""Snapshots of a host that are looked at."""
_ALARMED = "Active Alarm(s): "
"""What etcdctl says first of a member that answers and counts in the quorum, while there is an alarm."""
_NO_DATA = "78"
"""How etcd's unit ends where its data is gone: see roles/etcd/templates/start-etcd.sh.j2."""


@dataclass(frozen=True)
class EtcdMember:
    """One entry of etcd's member list."""

    id: int
    name: str
    """Empty for a member that never started."""
    peer_urls: tuple[str, ...]
    learner: bool


@dataclass(frozen=True)
class EtcdStatus:
    """The status that one etcd member reports."""

    member: int
    cluster: int
    leader: int
    """Member id of the leader that it follows; 0 when it knows none."""
    term: int
    version: str
    db_size: int
    """Bytes on disk."""
    errors: tuple[str, ...]
    """Alarms such as ``NOSPACE``."""
    db_in_use: int
    """Bytes of them that a defragmentation would keep."""
    quota: int
    """Bytes that it may have on disk; 0 where the member does not say."""
    index: int
    """Of the last entry of raft's log that it has applied."""
    revision: int
    """Goes up with every change of the data."""
    learner: bool


@dataclass(frozen=True)
class SnapshotEntry:
    """A snapshot of etcd in a host's folder."""

    name: _SnapshotName
    bytes: _Bytes
    taken: datetime
    """When it was taken, UTC."""


_MEMBER, _STATUS = TypeAdapter(EtcdMember), TypeAdapter(EtcdStatus)
_SNAPSHOT = TypeAdapter(SnapshotEntry)


@contextmanager
def _form() -> Iterator[None]:
    """Raise ValueError where what is read inside has another form than etcdctl prints."""
    try:
        yield
    except (ValidationError, LookupError, TypeError, AttributeError) as exc:
        raise ValueError("the output of etcdctl has an unexpected form") from exc


def etcd_members(answer: RunAnswer) -> tuple[EtcdMember, ...]:
    """Read ``etcdctl member list -w json``.

    Raises:
        ValueError: when etcdctl failed; the text is its own.
    """
    listed = _json(answer)
    with _form():
        return tuple(
            _MEMBER.validate_python(
                {
                    "id": member["ID"],
                    "name": member.get("name", ""),
                    "peer_urls": member["peerURLs"],
                    "learner": member.get("isLearner", False),
                }
            )
            for member in listed["members"]
        )


def etcd_status(answer: RunAnswer) -> EtcdStatus:
    """Read ``etcdctl endpoint status -w json`` for one endpoint.

    Raises:
        ValueError: when etcdctl failed; the text is its own.
    """
    found = _json(answer)
    if not found:
        raise ValueError(answer.said)
    with _form():
        status = found[0]["Status"]
        return _STATUS.validate_python(
            {
                "member": status["header"]["member_id"],
                "cluster": status["header"]["cluster_id"],
                "leader": status.get("leader", 0),
                "term": status["raftTerm"],
                "version": status["version"],
                "db_size": status["dbSize"],
                "errors": status.get("errors") or (),
                "db_in_use": status.get("dbSizeInUse", 0),
                "quota": status.get("dbSizeQuota", 0),
                "index": status.get("raftAppliedIndex", 0),
                "revision": status["header"].get("revision", 0),
                "learner": status.get("isLearner", False),
            }
        )


def etcd_unhealthy(answer: RunAnswer) -> str:
    """Read ``etcdctl endpoint health -w json``: a read that needs quorum.

    Returns:
        Why the endpoint is not healthy; empty when it is.
    """
    try:
        found = _json(answer)
        with _form():
            if found and found[0].get("health"):
                return ""
            return str((found[0].get("error") if found else "") or answer.said)
    except ValueError as error:
        return str(error)


def is_only_full(trouble: str) -> bool:
    """Whether an endpoint is unhealthy only because etcd is full: etcdctl calls every member so then."""
    return trouble.startswith(_ALARMED) and set(trouble[len(_ALARMED) :].split()) == {"NOSPACE"}


def snapshots(answer: RunAnswer) -> tuple[SnapshotEntry, ...]:
    """Read the list of snapshots, lines of ``NAME BYTES SECONDS``; files of other names are left out."""
    found = []
    for line in answer.stdout.splitlines()[:_MANY]:
        name, _, rest = line.partition(" ")
        size, _, seconds = rest.partition(" ")
        with suppress(ValueError, OverflowError, OSError):
            taken = datetime.fromtimestamp(float(seconds), UTC)
            found.append(_SNAPSHOT.validate_python({"name": name, "bytes": int(size), "taken": taken}))
    return tuple(found)


def unit_states(answer: RunAnswer) -> dict[str, str]:
    """Read ``systemctl show --property=Id,ActiveState,SubState,ExecMainStatus UNIT...``.

    Returns:
        The state of each unit as ``ACTIVE (SUB)``, such as ``active (running)``, by its name without
        ``.service``. An etcd that does not start because its data is gone has a state that says so.
    """
    states = {}
    for block in answer.stdout.split("\n\n"):
        fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "Id" in fields:
            name = fields["Id"].removesuffix(".service")
            states[name] = f"{fields.get('ActiveState', '')} ({fields.get('SubState', '')})"
            if (name, fields.get("ExecMainStatus")) == ("etcd", _NO_DATA) and states[
                name
            ] == "failed (failed)":
                states[name] = "failed: its data is gone from /var/lib/etcd"
    return states


def node_ready(node: Mapping[str, Any]) -> str:
    """Why a Node object is not Ready; empty when it is."""
    for condition in node.get("status", {}).get("conditions", ()):
        if condition["type"] == "Ready":
            if condition["status"] == "True":
                return ""
            reason = f"{condition.get('reason', '')}: {condition.get('message', '')}"
            return f"not Ready ({reason.strip(': ')})"
    return "not Ready (its kubelet has not reported yet)"


def awaits_network(node: Mapping[str, Any]) -> bool:
    """Whether a Node is not Ready for want of a pod network."""
    return any(
        condition["type"] == "Ready"
        and condition["status"] == "False"
        and "NetworkReady=false" in condition.get("message", "")
        for condition in node.get("status", {}).get("conditions", ())
    )


def internal_ips(node: Mapping[str, Any]) -> list[str]:
    """The InternalIP addresses of a Node object."""
    return [item["address"] for item in node["status"].get("addresses", ()) if item["type"] == "InternalIP"]


def _json(answer: RunAnswer) -> Any:
    try:
        return from_json(answer.stdout, allow_inf_nan=False)
    except ValueError:
        raise ValueError(answer.said) from None
