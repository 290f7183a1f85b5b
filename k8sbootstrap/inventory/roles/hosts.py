"""Variables of the roles that every host has: host, packages, retired."""

from typing import Any

from k8sbootstrap.catalog.distributions import held_units, host_platforms, selinux_booleans
from k8sbootstrap.inventory.inputs import Inputs
from k8sbootstrap.inventory.model import Variables
from k8sbootstrap.plan.firewall import firewall
from k8sbootstrap.plan.made_with import made_with
from k8sbootstrap.plan.models import HostPlan
from k8sbootstrap.plan.phases import RETIRABLE, runs_on


def own_k8sbootstrap(inputs: Inputs, host: HostPlan) -> Variables:
    """What a host's record keeps of cluster.yaml: keys that can't be changed later."""
    return {"k8sbootstrap_made_with": made_with(inputs.plan, host)}


def host(inputs: Inputs) -> Variables:
    """Of the role ``host``."""
    return {"host_cluster": inputs.cluster}


def own_host(inputs: Inputs, host: HostPlan) -> Variables:
    """Of the role ``host`` on one host."""
    return {
        "host_firewall": firewall(inputs.plan, host),
        "host_selinux_booleans": selinux_booleans(inputs.plan.package_purposes(host)),
    }


def packages(inputs: Inputs) -> Variables:
    """Of the role ``packages``."""
    variables: dict[str, Any] = {"packages_cluster": inputs.cluster, "packages_proxy": inputs.proxy}
    if inputs.repositories:
        variables["packages_repositories"] = {
            system: str(folder) for system, folder in inputs.repositories.items()
        }
    return variables


def own_packages(inputs: Inputs, host: HostPlan) -> Variables:
    """Of the role ``packages`` on one host."""
    purposes = inputs.plan.package_purposes(host)
    return {"packages_platforms": host_platforms(purposes), "packages_hold_units": held_units(purposes)}


def retired(inputs: Inputs) -> Variables:
    """Of the role ``retired``."""
    return {"retired_cluster": inputs.cluster}


def own_retired(inputs: Inputs, host: HostPlan) -> Variables:
    """Of the role ``retired`` on one host: what it may have had before, and does not need now."""
    possible = {"api_loadbalancer": not host.is_master, "api_virtual_ip": host.is_master}
    components = [
        role for role in RETIRABLE if possible.get(role, True) and not runs_on(role, inputs.plan, host)
    ]
    return {"retired_components": components} if components else {}
