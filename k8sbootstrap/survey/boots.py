"""Asks hosts which boot they run, and whether they should be rebooted."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated

from pydantic import Field, TypeAdapter

from k8sbootstrap.errors import K8sBootstrapError
from k8sbootstrap.hosts.ask import Question, Session, ask
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.models import HostPlan

_TIMEOUT = 200.0


@dataclass(frozen=True)
class Boot:
    """What a host says of its boot."""

    boot: Annotated[str, Field(pattern="^[0-9a-f-]{36}$")]
    """Id that the kernel makes anew for each boot."""
    reasons: Annotated[tuple[Annotated[str, Field(max_length=300)], ...], Field(max_length=10)]
    """Why it should be rebooted; empty where nothing asks for that."""


_BOOT = TypeAdapter(Boot)


def boots(hosts: Iterable[HostPlan], pool: Pool) -> dict[str, Boot]:
    """Ask all hosts at once. Changes nothing on them.

    Args:
        hosts: The hosts.
        pool: Connections to them.

    Returns:
        What each says, by host.

    Raises:
        HostError: One could not be asked.
    """
    program = files("k8sbootstrap.hosts.scripts").joinpath("boot.py").read_bytes()

    def one(host: str, session: Session) -> Boot:
        return ask(host, session, Question(program), _BOOT, timeout=_TIMEOUT)

    found = {}
    for host, answer in pool.on_all((host.ssh for host in hosts), one).items():
        if isinstance(answer, K8sBootstrapError):
            raise answer
        found[host] = answer
    return found
