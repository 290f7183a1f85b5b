"""What hosts are asked to do while etcd is rebuilt from a snapshot, all at once."""

import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter

from k8sbootstrap.actions.upload import OutgoingFile, arriving
from k8sbootstrap.errors import HostError, K8sBootstrapError
from k8sbootstrap.host_code import program
from k8sbootstrap.hosts.ask import Question, Session, ask, shown
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.components import COMPONENTS, port_number
from k8sbootstrap.plan.models import ClusterPlan, HostPlan

AGAIN = "Fix this, then run the same command again: it continues from there."
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
_TIMEOUT = 1800.0
_AT_ONCE = 20
"""Hosts that are sent the snapshot at the same time."""
_SECONDS_TO_START = 90.0
_T = TypeVar("_T")
_Number = Annotated[int, Field(ge=0, lt=2**62)]


@dataclass(frozen=True)
class _Failed:
    problem: Annotated[str, Field(max_length=10_000)]


@dataclass(frozen=True)
class _Done:
    done: bool


@dataclass(frozen=True)
class Staged:
    """A snapshot that waits on a host, and can be restored there."""

    bytes: _Number
    """Of the database."""
    revision: _Number
    keys: _Number
    """Those of older revisions count too."""


@dataclass(frozen=True)
class Extracted:
    """A snapshot that was made from a stopped member's data."""

    path: Annotated[str, Field(pattern="^/[A-Za-z0-9_./-]+$", max_length=1000)]
    bytes: _Number
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    revision: _Number
    keys: _Number


_DONE: TypeAdapter[_Done | _Failed] = TypeAdapter(_Done | _Failed)
_STAGED: TypeAdapter[Staged | _Failed] = TypeAdapter(Staged | _Failed)
_EXTRACTED: TypeAdapter[Extracted | _Failed] = TypeAdapter(Extracted | _Failed)


def have_done(pool: Pool, hosts: Iterable[HostPlan], do: str, **arguments: Any) -> None:
    """Have hosts take a step, all at once.

    Args:
        pool: Connections to the hosts.
        hosts: The hosts.
        do: The step: see ``hosts/scripts/etcd_restore.py``.
        arguments: Of the step.

    Raises:
        HostError: Names each host where it failed, and why.
    """
    _ask_all(pool, hosts, lambda _: {"do": do, **arguments}, _DONE)


def place(pool: Pool, hosts: Sequence[HostPlan], members: Mapping[str, str], token: str, bump: int) -> None:
    """Have hosts make their members' data from the snapshot that waits there.

    Args:
        pool: Connections to the hosts.
        hosts: Those of the new members.
        members: Name to address.
        token: Of the new cluster.
        bump: How much higher than the snapshot's its revision begins.

    Raises:
        HostError: Names each host where it failed, and why.
    """

    def wanted(host: HostPlan) -> dict[str, Any]:
        return {"do": "place", "name": host.name, "members": members, "token": token, "bump": bump}

    _ask_all(pool, hosts, wanted, _DONE)


def stage(pool: Pool, hosts: Iterable[HostPlan], identity: str, file: OutgoingFile) -> Staged:
    """Send a snapshot to hosts, and have each see that it can be restored there. etcd is not touched.

    Args:
        pool: Connections to the hosts.
        hosts: The hosts.
        identity: Of the restore.
        file: The snapshot, compressed or not.

    Raises:
        HostError: It did not arrive, is damaged, or there is no room for it.
    """
    turns = threading.BoundedSemaphore(_AT_ONCE)
    by_name = {host.name: host for host in hosts}

    def send(name: str, session: Session) -> Staged | _Failed:
        with arriving(by_name[name], [file], turns) as arrival:
            wanted = {"do": "stage", "identity": identity, "folder": arrival.folder, "sha256": file.sha256}
            answer = ask(name, session, _question(wanted), _STAGED, timeout=_TIMEOUT)
            if isinstance(answer, _Failed) and (why := arrival.failure()):
                return _Failed(f"the snapshot can't be sent: {why}")
            return answer

    answers = pool.on_all([host.ssh for host in by_name.values()], send)
    return next(iter(_good(answers).values()))


def extract(pool: Pool, host: HostPlan, folder: str) -> Extracted:
    """Have a host make a snapshot from the data of its stopped member.

    Raises:
        HostError: It could not; the data is as it was.
    """
    wanted = {"do": "extract", "folder": folder, "name": host.name}
    return _ask_all(pool, [host], lambda _: wanted, _EXTRACTED)[host.name]


def service(plan: ClusterPlan, name: str) -> dict[str, Any]:
    """A service as the step ``start`` takes it: ``unit``, ``health``, ``timeout``."""
    component = next(each for each in COMPONENTS if each.name == name)
    health = component.health
    assert health  # noqa: S101 - all that are asked for have one
    document = {"url": f"{health.scheme}://127.0.0.1:{port_number(health.port, plan)}{health.path}"}
    if health.ca:
        document["ca"] = health.ca
    if health.client:
        document |= {"cert": f"{health.client}.crt", "key": f"{health.client}.key"}
    return {"unit": component.unit, "health": document, "timeout": _SECONDS_TO_START}


def _ask_all(
    pool: Pool,
    hosts: Iterable[HostPlan],
    wanted: Callable[[HostPlan], Mapping[str, Any]],
    form: TypeAdapter[_T | _Failed],
) -> dict[str, _T]:
    questions = {host.name: (host.ssh, _question(wanted(host))) for host in hosts}

    def put(name: str, session: Session) -> _T | _Failed:
        return ask(name, session, questions[name][1], form, timeout=_TIMEOUT)

    return _good(pool.on_all([target for target, _ in questions.values()], put))


def _good(answers: Mapping[str, _T | _Failed | K8sBootstrapError]) -> dict[str, _T]:
    """The answers, where none is a failure."""
    good: dict[str, _T] = {}
    failures = []
    for name, answer in answers.items():
        if isinstance(answer, _Failed):
            failures.append(f"{name}: {shown(answer.problem, 2000)}")
        elif isinstance(answer, K8sBootstrapError):
            failures.append(str(answer))
        else:
            good[name] = answer
    if failures:
        raise HostError("\n".join(failures), hint=AGAIN)
    return good


def _question(wanted: Mapping[str, Any]) -> Question:
    script = Path(str(files("k8sbootstrap.hosts.scripts"))) / "etcd_restore.py"
    return Question(program(script), json.dumps(wanted))
