"""Do hosts reach each other at the ports that the cluster needs? They try it before anything is installed.

On every host a process listens for a moment at the ports that are free. Meanwhile all hosts connect to all
that they will need. Then these processes end.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Annotated, Literal, TypeVar

from pydantic import Field, TypeAdapter

from k8sbootstrap.errors import K8sBootstrapError
from k8sbootstrap.hosts.ask import Question, ask, shown
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.connections import Connection, connections
from k8sbootstrap.plan.models import ClusterPlan, HostPlan

LISTENER = "k8sb-preflight"
"""Name of the process that listens, as ``ss`` shows it."""
_SECONDS_TO_CONNECT = 5.0
"""A lost packet is sent again after 1 s, and after 2 s more."""
_SECONDS_TO_LISTEN = 60.0
"""Until the listening process ends where nobody ends it: this machine may be switched off meanwhile."""
_SECONDS_PER_HOST = 0.5
_REFUSED = "Connection refused"
_LONGEST = 500
T = TypeVar("T")


@dataclass(frozen=True)
class Blocked:
    """A connection that did not work."""

    connection: Connection
    reason: str
    """What the connecting host's kernel says, or that no answer came."""


@dataclass(frozen=True)
class Tried:
    """What came of trying connections."""

    tried: tuple[Connection, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    rules: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By host: where its packet filter drops packets to ports, or what no rule accepts."""


@dataclass(frozen=True)
class _Listening:
    busy: Annotated[list[tuple[Literal["tcp", "udp"], int]], Field(max_length=100)]
    rules: Annotated[list[Annotated[str, Field(max_length=_LONGEST)]], Field(max_length=50)]


@dataclass(frozen=True)
class _Connected:
    failed: Annotated[dict[int, Annotated[str, Field(max_length=_LONGEST)]], Field(max_length=100_000)]


_LISTENING = TypeAdapter(_Listening)
_CONNECTED = TypeAdapter(_Connected)
_STOPPED = TypeAdapter(dict[str, str])


def try_connections(
    plan: ClusterPlan, pool: Pool, hosts: Sequence[HostPlan], but_not_to: Collection[str] = ()
) -> Tried:
    """Have hosts connect to each other. Nothing stays on them.

    A host that does not answer any more is left out: other checks name it.

    Args:
        plan: The cluster.
        pool: Connections to the hosts.
        hosts: Those that answer.
        but_not_to: Names of hosts that nobody is to connect to.
    """
    wanted = [each for each in connections(plan, hosts) if each.target not in but_not_to]
    if not wanted:
        return Tried()
    try:
        listening = _listen(pool, hosts, wanted)
        tried = [each for each in wanted if _is_worth_trying(each, listening)]
        blocked = _connect(pool, hosts, tried, listening)
    finally:
        targets = {each.target for each in wanted}
        _ask_each(pool, [host for host in hosts if host.name in targets], lambda _: {"do": "stop"}, _STOPPED)
    rules = {name: tuple(shown(rule, _LONGEST) for rule in said.rules) for name, said in listening.items()}
    return Tried(tuple(tried), tuple(blocked), rules)


def _listen(pool: Pool, hosts: Sequence[HostPlan], wanted: Sequence[Connection]) -> dict[str, _Listening]:
    ports: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for each in wanted:
        ports[each.target].add((each.protocol, each.port))
    seconds = _SECONDS_TO_LISTEN + _SECONDS_PER_HOST * len(hosts)
    return _ask_each(
        pool,
        [host for host in hosts if host.name in ports],
        lambda name: {
            "do": "listen",
            "ports": sorted(ports[name]),
            "seconds": seconds,
            "name": LISTENER,
        },
        _LISTENING,
    )


def _is_worth_trying(wanted: Connection, listening: Mapping[str, _Listening]) -> bool:
    """Whether somebody listens who answers. What holds a UDP port already may say nothing."""
    target = listening.get(wanted.target)
    return target is not None and (wanted.protocol == "tcp" or ("udp", wanted.port) not in target.busy)


def _connect(
    pool: Pool, hosts: Sequence[HostPlan], tried: Sequence[Connection], listening: Mapping[str, _Listening]
) -> list[Blocked]:
    addresses = {host.name: str(host.private_address) for host in hosts}
    by_source: dict[str, list[Connection]] = defaultdict(list)
    for each in tried:
        by_source[each.source].append(each)
    answers = _ask_each(
        pool,
        [host for host in hosts if host.name in by_source],
        lambda name: {
            "do": "connect",
            "to": [[addresses[each.target], each.protocol, each.port] for each in by_source[name]],
            "seconds": _SECONDS_TO_CONNECT,
        },
        _CONNECTED,
    )
    return [
        Blocked(connection, shown(said.failed[index], _LONGEST))
        for name, said in answers.items()
        for index, connection in enumerate(by_source[name])
        if index in said.failed
        # what holds the port may serve its own host alone, such as a load balancer until it makes way
        and not (
            said.failed[index] == _REFUSED
            and (connection.protocol, connection.port) in listening[connection.target].busy
        )
    ]


def _ask_each(
    pool: Pool, hosts: Sequence[HostPlan], request: Callable[[str], object], form: TypeAdapter[T]
) -> dict[str, T]:
    """What hosts print, by name; those that could not be asked are left out."""
    script = resources.files("k8sbootstrap.hosts.scripts").joinpath("connections.py").read_bytes()
    answers = pool.on_all(
        (host.ssh for host in hosts),
        lambda name, session: ask(name, session, Question(script, json.dumps(request(name))), form),
    )
    return {name: said for name, said in answers.items() if not isinstance(said, K8sBootstrapError)}
