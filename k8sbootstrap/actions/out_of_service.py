"""Steps that take one host out of service for a while, and give it back once it is well."""

import time
from collections.abc import Callable, Collection, Iterable

from k8sbootstrap.actions.ask_hosts import TIMEOUT, ask_first, living_members, masters
from k8sbootstrap.actions.context import RunContext
from k8sbootstrap.actions.step import StepReporter
from k8sbootstrap.checks.cluster import HEALTH_CHECKS
from k8sbootstrap.checks.framework import CLUSTER, CheckResult, Status, apply, settle
from k8sbootstrap.checks.outage import Outage
from k8sbootstrap.errors import HostError, K8sBootstrapError
from k8sbootstrap.hosts.pool import Hosts
from k8sbootstrap.plan.components import components_of
from k8sbootstrap.plan.models import HostPlan
from k8sbootstrap.survey.boots import boots
from k8sbootstrap.survey.cluster.facts import Facts
from k8sbootstrap.survey.cluster.requests import health_request

Do = Callable[[RunContext, StepReporter], None]
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
SECONDS_TO_BOOT = 900.0
"""Servers may test their memory and controllers for minutes before they boot."""
_SECONDS_TO_BE_WELL = 300.0
_POLL = 2.0


def drain(host: HostPlan, reason: str, undone: str) -> Do:
    """Move a node's pods to other nodes.

    Args:
        host: The node's host.
        reason: Why, as the node's annotation has it: see ``phases.CORDONING``.
        undone: What is not done where some of them stay, for the error.
    """

    def do(context: RunContext, _step: StepReporter) -> None:
        timeout = context.plan.config.upgrade.drain_timeout
        wanted = {"do": "drain", "name": host.name, "reason": reason, "timeout": timeout, "undone": undone}
        ask_first(context, host.name, masters(context), wanted, timeout + TIMEOUT)

    return do


def spare(outage: Outage) -> Do:
    """See that etcd can do without the host's member now, and have that hand over its lead."""

    def do(context: RunContext, _step: StepReporter) -> None:
        host = outage.host
        others = [each for each in living_members(context) if each != host]
        ask_first(context, host.name, others, {"do": "spare", "address": str(host.private_address)})

    return do


def stop(host: HostPlan, names: Collection[str]) -> Do:
    """Stop services of a host, by component. A boot starts them again."""

    def do(context: RunContext, _step: StepReporter) -> None:
        units = [part.unit for part in components_of(context.plan, host) if part.name in names]
        if units:
            ask_first(context, host.name, [host], {"do": "stop", "groups": [units]})

    return do


def reboot(host: HostPlan, boot: str) -> Do:
    """Reboot a host, and wait until it has booted.

    Args:
        host: The host.
        boot: Id of the boot that it runs now.
    """

    def do(context: RunContext, step: StepReporter) -> None:
        try:
            ask_first(context, host.name, [host], {"do": "reboot"}, 60)
        except HostError as error:
            if _boot(context, host) == boot:  # else the connection broke because it is on its way
                raise
            step.status(str(error))
        deadline = time.monotonic() + SECONDS_TO_BOOT
        while _boot(context, host) in {"", boot}:
            if time.monotonic() > deadline:
                raise HostError(
                    f"{host.name} did not come back within {SECONDS_TO_BOOT:.0f} s of its reboot. Its node "
                    "takes no pods",
                    hint="See its console. When it is back, run the same command again: it continues from "
                    "there, and gives the node its pods back.",
                )
            step.status(f"{host.name} is not back yet")
            time.sleep(_POLL)

    return do


def wait_until_well(host: HostPlan) -> Do:
    """Wait until all services of a host are healthy, and its member of etcd is in sync."""

    def do(context: RunContext, step: StepReporter) -> None:
        def look() -> list[CheckResult]:
            found = troubles(context, host)
            step.status("; ".join(f"{each.check}: {each.message}" for each in found))
            return found

        found = settle(look, bool, _POLL, _SECONDS_TO_BE_WELL)
        if found:
            raise HostError(
                f"{host.name} is not well {_SECONDS_TO_BE_WELL:.0f} s after its start: "
                + "; ".join(f"{each.check}: {each.message}" for each in found),
                hint="Fix it: k8sbootstrap status and journalctl on the host show more. Then run the same "
                "command again: it continues from there.",
            )

    return do


def give_back(host: HostPlan, commands: Iterable[str]) -> Do:
    """Wait until a node is Ready, and let pods on it again if one of these commands kept them off."""

    def do(context: RunContext, _step: StepReporter) -> None:
        boot = _boot(context, host)
        if not boot:
            raise HostError(f"{host.name} does not answer any more", "Run the same command again.")
        wanted = {
            "do": "resume",
            "name": host.name,
            "boot": boot,
            "commands": list(commands),
            "timeout": round(_SECONDS_TO_BE_WELL),
        }
        ask_first(context, host.name, masters(context), wanted, _SECONDS_TO_BE_WELL + TIMEOUT)

    return do


def troubles(context: RunContext, host: HostPlan) -> list[CheckResult]:
    """What is not well on a host, by the checks of ``verify``; its Node is not looked at."""
    hosts = Hosts(context.pool, [host.ssh])
    plan = context.plan
    answers = hosts.ask_all({host.name: health_request(plan, host)})
    others = frozenset(each.name for each in plan.hosts if each != host)
    facts = Facts(plan, others, lost=dict(hosts.lost), answers=answers)
    checks = [check for check in HEALTH_CHECKS if check.name != "nodes"]
    results = apply(checks, facts, CLUSTER)
    return [each for each in results if each.host == host.name and each.status is Status.FAILED]


def _boot(context: RunContext, host: HostPlan) -> str:
    """Id of the boot that a host runs; empty where it does not answer."""
    context.pool.disconnect(host.name)  # a connection to a host that went down would only time out
    try:
        return boots([host], context.pool)[host.name].boot
    except K8sBootstrapError:
        return ""
