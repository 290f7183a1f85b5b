"""Takes a member out of a running etcd, for good or for a while: the others have a quorum without it.

etcd itself refuses what would cost the quorum (--strict-reconfig-check), but only of members that it has lost
sight of. So the health of those that stay is asked for before and after.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.k8sbootstrap.host.patience import within
from ansible.module_utils.k8sbootstrap.host.request import Health
from ansible.module_utils.k8sbootstrap.host.units import until_healthy
from ansible.module_utils.k8sbootstrap.kube.etcd_join import (
    CLIENT,
    HEALTH,
    EtcdError,
    call_any,
    list_members,
    member_at,
    peer_url,
)

HERE = "127.0.0.1"
SECONDS_TO_BE_HEALTHY = 30.0
_PAUSE = 0.5


def leave(address: str) -> bool:
    """Take the member at an address out. Runs on the host of another member, which stays.

    Args:
        address: Where its peers reach the member that leaves.

    Returns:
        Whether it was a member.

    Raises:
        EtcdError: The others have no quorum without it, or etcd refuses it; it stays a member. Or they have
            none afterwards.
    """
    listed = list_members([HERE])
    leaving = member_at(listed, peer_url(address))
    if not leaving:
        return False
    others = [member for member in listed if member is not leaving]
    if not leaving.get("isLearner"):
        _require_quorum(others, "it can't leave etcd")
        _hand_over(leaving, others)
    call_any([HERE], "/v3/cluster/member/remove", {"ID": leaving["ID"]})
    _require_quorum(others, "it has left etcd, but the others are not well")
    return True


def spare(address: str) -> bool:
    """See that the others have a quorum while the member at an address is away. A leader hands over first.

    Args:
        address: Where its peers reach the member that is going to stop.

    Returns:
        Whether it is a member.

    Raises:
        EtcdError: The others have no quorum, or etcd does not answer.
    """
    listed = list_members([HERE])
    stopping = member_at(listed, peer_url(address))
    if not stopping:
        return False
    if not stopping.get("isLearner"):
        others = [member for member in listed if member is not stopping]
        _require_quorum(others, "etcd there is not stopped", away=1)
        _hand_over(stopping, others)
    return True


def _require_quorum(members: list[dict[str, Any]], what: str, away: int = 0) -> None:
    """Wait for enough of these members to be healthy.

    Args:
        members: The members that go on.
        what: What is done, or is not, if they are not healthy, for the error.
        away: How many voters there are beside them.

    Raises:
        EtcdError: They are not within SECONDS_TO_BE_HEALTHY.
    """
    voters = [member for member in members if not member.get("isLearner")]
    goes_on = within(SECONDS_TO_BE_HEALTHY)
    while True:
        problems = [problem for problem in map(_problem, voters) if problem]
        if len(voters) - len(problems) > (len(voters) + away) // 2:
            return
        if not goes_on():
            raise EtcdError(f"{what}: {'; '.join(problems) or 'there is no other member'}")
        time.sleep(_PAUSE)


def _problem(member: Mapping[str, Any]) -> str:
    """Why a member is not healthy; empty when it is."""
    for url in member.get("clientURLs", []):
        health: Health = {"url": url + HEALTH, **CLIENT}  # type: ignore[typeddict-item]
        return until_healthy(health, lambda: False) or ""
    return f"the member {member.get('name') or member['ID']} never started"


def _hand_over(leaving: Mapping[str, Any], others: list[dict[str, Any]]) -> None:
    """Have a leader that leaves give its place to another member: writes don't wait for an election then.

    What speaks against it is no reason to stop: then the others elect one.
    """
    try:
        status = call_any([HERE], "/v3/maintenance/status", {})
        if status.get("leader") != leaving["ID"]:
            return
        target = next(member["ID"] for member in others if member["ID"] == status["header"]["member_id"])
        address = leaving["clientURLs"][0].split("://")[-1].rsplit(":", 1)[0]
        call_any([address], "/v3/maintenance/transfer-leadership", {"targetID": target})
    except (EtcdError, LookupError, StopIteration):
        return
