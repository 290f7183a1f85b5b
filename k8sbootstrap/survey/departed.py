"""A cluster as it will be when hosts have left it."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from k8sbootstrap.plan.models import HostPlan
from k8sbootstrap.plan.phases import OF_ALL_HOSTS
from k8sbootstrap.survey.etcd_members import EtcdReport
from k8sbootstrap.survey.todo import HostFindings, Survey


def without(found: HostFindings, gone: Collection[HostPlan], stay: Collection[str]) -> HostFindings:
    """What hosts that stay will report when others have left, as far as it follows from what they report now.

    Args:
        found: What all report now.
        gone: The hosts that leave.
        stay: Names of those that stay.
    """
    names = {host.name for host in gone}
    addresses = {str(host.private_address) for host in gone}
    findings = {
        name: replace(
            finding,
            pod_cidrs=None if finding.pod_cidrs is None else _less(finding.pod_cidrs, names),
            addresses=_less(finding.addresses, names),
            cordoned=_less(finding.cordoned, names),
            etcd=_less_members(finding.etcd, addresses),
        )
        for name, finding in found.findings.items()
        if name in stay
    }
    return HostFindings(findings, {name: error for name, error in found.unreachable.items() if name in stay})


def of_departure(survey: Survey) -> Survey:
    """What of all that is to do follows from other hosts leaving. The rest is for ``up``."""
    return survey.of_roles(OF_ALL_HOSTS)


def _less(values: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if name not in names}


def _less_members(report: EtcdReport, addresses: Collection[str]) -> EtcdReport:
    if report.living is None:
        return report
    members = tuple(
        member
        for member in report.living.members
        if not any(url.split("://")[-1].rsplit(":", 1)[0] in addresses for url in member.urls)
    )
    return replace(report, living=replace(report.living, members=members))
