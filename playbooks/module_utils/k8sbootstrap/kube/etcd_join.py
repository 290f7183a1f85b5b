"""Makes this host's member one of a running etcd: a learner first, a voter once it has all data.

A learner counts for no quorum. So a host that fails while it joins costs the cluster nothing. etcd itself
refuses what would cost the quorum (--strict-reconfig-check).
"""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.module_utils.k8sbootstrap.host.patience import within
from ansible.module_utils.k8sbootstrap.host.request import Health
from ansible.module_utils.k8sbootstrap.host.units import UnitError, tls, until_healthy

PKI = "/etc/etcd/pki"
CLIENT = {
    "ca": PKI + "/ca.crt",
    "cert": PKI + "/healthcheck-client.crt",
    "key": PKI + "/healthcheck-client.key",
}
CLIENT_PORT, PEER_PORT = 2379, 2380
HEALTH = "/health?exclude=NOSPACE"
"""A member whose database is full (alarm NOSPACE) is well: it votes, and a restart can raise its quota."""
TIMEOUT = 10.0
"""Seconds for one answer."""
SECONDS_TO_BE_HEALTHY = 30.0
SECONDS_TO_ADD = 60.0
"""etcd refuses a member for some seconds after the last one joined: until all have been connected for 5 s."""
SECONDS_TO_CATCH_UP = 600.0
"""For all data of a large cluster, over a slow network."""
_PAUSE = 0.5
_BIGGEST = 1 << 18
_NAME = re.compile(r"[\w.-]+")


class EtcdError(Exception):
    """etcd refused something; the text is its own."""


def initial_cluster(name: str, members: Mapping[str, str]) -> str:
    """The members that a member without data starts with, as etcd's flag wants them.

    Adds the member to the cluster where it is not in its list. All others must be healthy before.

    Args:
        name: The member here.
        members: All planned members, name to address.

    Raises:
        UnitError: etcd does not answer, or another member is not healthy; nothing was added.
    """
    others = [address for other, address in members.items() if other != name]
    own = peer_url(members[name])
    names = {peer_url(address): other for other, address in members.items()}
    deadline = time.monotonic() + SECONDS_TO_ADD
    while True:
        try:
            listed = _with(own, others)
            break
        except EtcdError as error:
            if time.monotonic() > deadline:
                raise UnitError(f"{name} could not be added to etcd's members: {error}") from error
        time.sleep(_PAUSE)
    pairs = []
    for member in listed:
        for url in member.get("peerURLs", []):
            known = names.get(url) or str(member.get("name", ""))
            if not _NAME.fullmatch(known):
                raise UnitError(
                    f"{name} does not join etcd: the member {url} was added and has not started, and is none "
                    "of those that are planned"
                )
            pairs.append(f"{known}={url}")
    return ",".join(pairs)


def _with(own: str, others: list[str]) -> list[dict[str, Any]]:
    """The members, with the one here, which is added where it is not in the list.

    Raises:
        EtcdError: etcd does not answer or refuses it, or another member is not healthy.
    """
    listed = list_members(others)
    if own in _urls(listed):
        return listed
    _require_healthy(listed)
    added: list[dict[str, Any]] = call_any(
        others, "/v3/cluster/member/add", {"peerURLs": [own], "isLearner": True}
    )["members"]
    return added


def become_voter(name: str, members: Mapping[str, str]) -> None:
    """Wait until the member here has all data, where it is a learner, and make it a voter.

    Args:
        name: The member here.
        members: All planned members, name to address.

    Raises:
        UnitError: That took too long. It stays a learner; the next run goes on.
    """
    others = [address for other, address in members.items() if other != name]
    deadline = time.monotonic() + SECONDS_TO_CATCH_UP
    problem = ""
    while _is_learner(peer_url(members[name]), ["127.0.0.1", *others]):
        try:
            _promote(peer_url(members[name]), others)
        except EtcdError as error:
            problem = str(error)
        if time.monotonic() > deadline:
            raise UnitError(
                f"{name} is a learner of etcd, and did not become a voter within {SECONDS_TO_CATCH_UP:g} s: "
                + problem
            )
        time.sleep(_PAUSE)


def _is_learner(url: str, addresses: Iterable[str]) -> bool:
    """Whether a member is a learner. Where no member answers, its health says more."""
    try:
        return bool(member_at(list_members(addresses), url).get("isLearner"))
    except EtcdError:
        return False


def _promote(url: str, addresses: list[str]) -> None:
    """Make a learner a voter.

    Raises:
        EtcdError: It has not all data yet, or no member answers.
    """
    mine = member_at(list_members(addresses), url)
    if mine:
        call_any(addresses, "/v3/cluster/member/promote", {"ID": mine["ID"]})


def _require_healthy(listed: Iterable[Mapping[str, Any]]) -> None:
    """See that all members are well: adding one to a cluster that is not costs its quorum.

    Raises:
        EtcdError: One is not.
    """
    for member in listed:
        for url in member.get("clientURLs", []):
            health: Health = {"url": url + HEALTH, **CLIENT}  # type: ignore[typeddict-item]
            problem = until_healthy(health, within(SECONDS_TO_BE_HEALTHY))
            if problem:
                raise EtcdError(f"the member {member.get('name', '')} is not healthy: {problem}")


def member_at(listed: Iterable[Mapping[str, Any]], url: str) -> Mapping[str, Any]:
    """The member that its peers reach at ``url``; empty where there is none."""
    return next((member for member in listed if url in member.get("peerURLs", [])), {})


def _urls(listed: Iterable[Mapping[str, Any]]) -> set[str]:
    return {str(url) for member in listed for url in member.get("peerURLs", [])}


def list_members(addresses: Iterable[str]) -> list[dict[str, Any]]:
    """The members, as the first one that answers knows them."""
    found: list[dict[str, Any]] = call_any(addresses, "/v3/cluster/member/list", {"linearizable": False})[
        "members"
    ]
    return found


def call_any(addresses: Iterable[str], path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of the first member that gives one."""
    reasons = []
    for address in addresses:
        answer, reason = _try(address, path, body)
        if not reason:
            return answer
        reasons.append(f"{address}: {reason}")
    raise EtcdError("; ".join(reasons) or "there is no other member")


def _try(address: str, path: str, body: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The answer of a member; else why there is none."""
    try:
        return _call(address, path, body), ""
    except (EtcdError, OSError, ValueError, http.client.HTTPException) as error:
        return {}, str(error) or type(error).__name__


def _call(address: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    context = tls({"url": "", **CLIENT})  # type: ignore[typeddict-item]
    connection = http.client.HTTPSConnection(address, CLIENT_PORT, timeout=TIMEOUT, context=context)
    try:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read(_BIGGEST))
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise EtcdError(str(answer.get("message") or answer.get("error") or response.status))
    return answer


def peer_url(address: str) -> str:
    """Where other members reach one."""
    return f"https://{address}:{PEER_PORT}"
