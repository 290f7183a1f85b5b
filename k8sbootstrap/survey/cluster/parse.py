"""Reads the output of programs on hosts into types. It runs nothing, so recorded output tests it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from k8sbootstrap.hosts.answers import RunAnswer

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


_MEMBER, _STATUS = TypeAdapter(EtcdMember), TypeAdapter(EtcdStatus)


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
