"""The same thing on many hosts at once."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from k8sbootstrap.errors import K8sBootstrapError
from k8sbootstrap.hosts.client import SSHSession
from k8sbootstrap.plan.models import SSHTarget

T = TypeVar("T")

MAX_WORKERS = 20


def run_on_all(
    targets: Iterable[SSHTarget],
    action: Callable[[SSHSession], T],
    *,
    max_workers: int = MAX_WORKERS,
    timeout: float = 10.0,
) -> dict[str, T | K8sBootstrapError]:
    """Connect to every host and do something there; one host's failure keeps none of the others from it.

    Args:
        targets: The hosts.
        action: What to do with each session; runs in a thread of its own.
        max_workers: Hosts at the same time.
        timeout: Seconds that each step of connecting may take.

    Returns:
        By host, in the order of ``targets``: what ``action`` returned, or the error that ended it.
    """

    def visit(target: SSHTarget) -> T | K8sBootstrapError:
        try:
            with SSHSession(target, timeout) as session:
                return action(session)
        except K8sBootstrapError as exc:
            return exc

    hosts = list(targets)
    with ThreadPoolExecutor(max_workers) as pool:
        return dict(zip((target.host for target in hosts), pool.map(visit, hosts), strict=True))
