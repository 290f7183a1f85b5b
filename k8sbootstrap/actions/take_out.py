"""Steps that take one host out of the cluster. Any living master, and any living member of etcd, is asked."""

from collections.abc import Callable, Iterable

from k8sbootstrap.actions.ask_hosts import TIMEOUT, ask_first, living_members, masters
from k8sbootstrap.actions.context import RunContext
from k8sbootstrap.actions.step import StepReporter
from k8sbootstrap.checks.removal import Departure
from k8sbootstrap.formats.text import count
from k8sbootstrap.plan.components import components_of

Do = Callable[[RunContext, StepReporter], None]
_OWN = ("kubelet", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
"""Services that must not use the cluster any more once the host leaves."""


def drain(each: Departure) -> Do:
    """Move the node's pods to other nodes."""

    def do(context: RunContext, _step: StepReporter) -> None:
        name, timeout = each.host.name, context.plan.config.upgrade.drain_timeout
        wanted = {
            "do": "drain",
            "name": name,
            "reason": "remove",
            "timeout": timeout,
            "undone": "it was not removed",
        }
        ask_first(context, name, masters(context), wanted, timeout + TIMEOUT)

    return do


def stop_services(each: Departure) -> Do:
    """Stop what uses the cluster on the host: an API server tells load balancers before it ends."""
    return _stop(each, _OWN)


def stop_etcd(each: Departure) -> Do:
    """Stop the member, which has left etcd."""
    return _stop(each, ("etcd",))


def leave_etcd(each: Departure) -> Do:
    """Take the host's member out of etcd, while the others have a quorum."""

    def do(context: RunContext, step: StepReporter) -> None:
        wanted = {"do": "leave", "address": str(each.host.private_address)}
        ask_first(context, each.host.name, living_members(context), wanted)
        left = count(each.after.number, "member")
        step.note(f"{left} left, of which {each.after.may_fail} may fail")

    return do


def delete_node(each: Departure) -> Do:
    """Delete the Node, and the pods that the API still has there."""

    def do(context: RunContext, _step: StepReporter) -> None:
        name = each.host.name
        ask_first(context, name, masters(context), {"do": "delete", "name": name})

    return do


def _stop(each: Departure, names: Iterable[str]) -> Do:
    def do(context: RunContext, _step: StepReporter) -> None:
        units = [part.unit for part in components_of(context.plan, each.host) if part.name in names]
        if units:
            ask_first(context, each.host.name, [each.host], {"do": "retire", "units": units})

    return do
