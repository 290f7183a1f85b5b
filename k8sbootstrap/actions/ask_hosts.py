"""Has a host do something to the cluster, such as draining a node: the first that can be reached."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from k8sbootstrap.actions.context import RunContext
from k8sbootstrap.errors import HostError
from k8sbootstrap.host_code import program
from k8sbootstrap.hosts.ask import Question, shown
from k8sbootstrap.hosts.pool import Hosts
from k8sbootstrap.plan.models import HostPlan

TIMEOUT = 240.0
"""Seconds for all that does not wait for pods or for a host to boot."""
_AGAIN = "Fix this, then run the same command again: it continues from there."


@dataclass(frozen=True)
class _Answer:
    """What the program on the host prints."""

    done: bool
    problem: Annotated[str, Field(max_length=10_000)]


_ANSWER = TypeAdapter(_Answer)


def masters(context: RunContext) -> list[HostPlan]:
    """Masters whose API server answered when hosts were looked at."""
    findings = context.found.findings
    return [
        host
        for host in context.plan.masters
        if host.name in findings and findings[host.name].pod_cidrs is not None
    ]


def living_members(context: RunContext) -> list[HostPlan]:
    """Hosts whose member of etcd answered when hosts were looked at."""
    findings = context.found.findings
    return [
        host
        for host in context.plan.etcd_members
        if host.name in findings and findings[host.name].etcd.living is not None
    ]


def ask_first(
    context: RunContext,
    name: str,
    hosts: Iterable[HostPlan],
    wanted: dict[str, Any],
    timeout: float = TIMEOUT,
) -> None:
    """Have the first of some hosts that can be reached do something.

    Args:
        context: The run.
        name: The host that it is about, for errors.
        hosts: Who can do it.
        wanted: What ``hosts/scripts/take_out.py`` takes.
        timeout: Seconds that it may take.

    Raises:
        HostError: None can be reached, or what was wanted failed there.
    """
    script = Path(str(files("k8sbootstrap.hosts.scripts"))) / "take_out.py"
    question = Question(program(script), json.dumps(wanted))
    reasons = []
    for host in hosts:
        asked = Hosts(context.pool, [host.ssh])
        try:
            answer = asked.question(host.name, question, _ANSWER, timeout=timeout)
        except HostError as error:
            reasons.append(f"{host.name}: {error}")
            continue
        if answer.problem:
            raise HostError(f"{name}: {shown(answer.problem, 2000)}", hint=_AGAIN)
        return
    raise HostError(
        f"{name}: no host that could be asked answers: {'; '.join(reasons) or 'none is left'}", hint=_AGAIN
    )
