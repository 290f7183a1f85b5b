"""Steps that stop services of whole hosts, and start them, on many hosts at once."""

from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor

from k8sbootstrap.actions.ask_hosts import ask_first
from k8sbootstrap.actions.context import RunContext
from k8sbootstrap.actions.out_of_service import CONTROL_PLANE
from k8sbootstrap.actions.step import StepReporter
from k8sbootstrap.errors import HostError
from k8sbootstrap.hosts.pool import PARALLEL
from k8sbootstrap.plan.components import COMPONENTS, components_of
from k8sbootstrap.plan.models import ClusterPlan, HostPlan

Do = Callable[[RunContext, StepReporter], None]
PODS = "kubepods.slice"
"""What all pods of a host run in."""
ETCD = ("etcd",)
NODES = tuple(each.name for each in COMPONENTS if each.name not in {*ETCD, *CONTROL_PLANE})
"""All that is neither etcd nor the control plane."""


def groups(plan: ClusterPlan, host: HostPlan, names: Collection[str]) -> list[list[str]]:
    """Units of a host in the order in which they stop: the kubelet first, which would start pods again.

    Args:
        plan: The cluster.
        host: The host.
        names: Components that are to stop.
    """
    units = {each.name: each.unit for each in components_of(plan, host) if each.name in names}
    first = [units.pop(name) for name in ("kubelet", "kube-proxy") if name in units]
    pods = [[PODS]] if first else []
    return [group for group in ([first] if first else []) + pods + [list(units.values())] if group]


def stop_on(hosts: Iterable[HostPlan], names: Collection[str]) -> Do:
    """Stop components on hosts, on all at once. A boot starts them again."""
    return _on_each(hosts, lambda plan, host: {"do": "stop", "groups": groups(plan, host, names)})


def start_on(hosts: Iterable[HostPlan], names: Collection[str]) -> Do:
    """Start components on hosts, on all at once: members of etcd wait for each other."""
    return _on_each(
        hosts,
        lambda plan, host: {
            "do": "start",
            "units": [each.unit for each in components_of(plan, host) if each.name in names],
        },
    )


def _on_each(hosts: Iterable[HostPlan], wanted: Callable[[ClusterPlan, HostPlan], dict[str, object]]) -> Do:
    chosen = list(hosts)

    def do(context: RunContext, _step: StepReporter) -> None:
        def one(host: HostPlan) -> HostError | None:
            asked = wanted(context.plan, host)
            try:
                if asked.get("groups") or asked.get("units"):
                    ask_first(context, host.name, [host], asked)
            except HostError as error:
                return error
            return None

        with ThreadPoolExecutor(PARALLEL) as threads:
            errors = [error for error in threads.map(one, chosen) if error]
        if errors:
            raise HostError("\n".join(map(str, errors)), hint=errors[0].hint)

    return do
