"""Runs on a host, never on the controller: compares it with its own record and prints one JSON document.

It is sent over SSH to ``python3 -`` together with the ``module_utils`` that roles' modules use there, so that
both judge alike. It changes nothing. Standard library only, Python 3.9 and later.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import Any

from ansible.module_utils.k8sbootstrap.changes import DRIFT, Change, change
from ansible.module_utils.k8sbootstrap.host.files import certificate_ends, file_drift
from ansible.module_utils.k8sbootstrap.host.firewalld import is_active, shut, words
from ansible.module_utils.k8sbootstrap.host.kernel import in_kernel, sysctl_value
from ansible.module_utils.k8sbootstrap.host.losses import losses
from ansible.module_utils.k8sbootstrap.host.packages import MANAGERS
from ansible.module_utils.k8sbootstrap.host.record import Component, FirewallWanted, Record, Wanted
from ansible.module_utils.k8sbootstrap.host.selinux import boolean
from ansible.module_utils.k8sbootstrap.host.units import unit_drift, unit_states
from ansible.module_utils.k8sbootstrap.images.docker import DockerError
from ansible.module_utils.k8sbootstrap.images.load import missing_images
from ansible.module_utils.k8sbootstrap.images.registry import registry_drift
from ansible.module_utils.k8sbootstrap.kube.addons import addon_drift
from ansible.module_utils.k8sbootstrap.kube.etcd import look
from ansible.module_utils.k8sbootstrap.kube.kubectl import KubectlError, all_within, kubectl
from ansible.module_utils.k8sbootstrap.kube.objects import cluster_drift
from ansible.module_utils.k8sbootstrap.made_with import made_with

NETWORK = "/etc/k8sbootstrap/pod-network"
NETWORK_PROGRAM = "/usr/local/lib/k8sbootstrap/pod-network"

SECONDS_FOR_API = 30.0
"""For all questions to the API server. The controller gives up the whole look at a host after 60."""


def package_drift(wanted: Wanted, manager: str) -> list[Change]:
    """Packages that were removed."""
    there: set[str] = MANAGERS[manager].installed() if wanted["packages"] else set()
    return [change("package", "install", name, DRIFT) for name in wanted["packages"] if name not in there]


def base_drift(wanted: Wanted) -> list[Change]:
    """Kernel settings, SELinux booleans and openings that are no longer as they were set."""
    changes = [change("module", "load", name, DRIFT) for name in wanted["modules"] if not in_kernel(name)]
    changes += [
        change("sysctl", "set", name, DRIFT)
        for name, value in sorted(wanted["sysctls"].items())
        if sysctl_value(name) != value
    ]
    changes += [change("boolean", "set", name, DRIFT) for name in wanted["booleans"] if boolean(name) == "0"]
    return changes + [
        change("firewall", "open", words(opening), DRIFT) for opening in shut(wanted["firewall"])
    ]


def image_drift(part: Component) -> list[Change]:
    """The sandbox image where the runtime has it no longer; nothing where the runtime does not answer.

    Other images may go: the kubelet removes those that no pod uses when disk space gets scarce.
    """
    try:
        missing = missing_images(part.get("runtime", ""), part["images"])
    except (DockerError, OSError):
        return []
    return [change("image", "load", ref, DRIFT) for ref in missing]


def pod_network(record: Record) -> dict[str, Any]:
    """The range of this host's own pods, and other nodes' addresses with the podCIDRs routed there."""
    lines = []
    if NETWORK in record.component("pod_network")["files"]:
        with suppress(OSError), open(NETWORK, encoding="ascii") as handle:  # noqa: PTH123
            lines = [line.split() for line in handle]
    own = [words[1] for words in lines if words[:1] == ["own"] and len(words) > 1]
    routes = {words[1]: words[2] for words in lines if words[:1] == ["node"]}
    return {"own_range": own[0] if own else "", "routes": routes}


def pod_network_drift(part: Component, changed: list[Change]) -> list[Change]:
    """Routes and packet rules that are missing, as the program says that sets them, unless it was changed."""
    if NETWORK_PROGRAM not in part["files"] or any(each["name"] == NETWORK_PROGRAM for each in changed):
        return []
    return losses(["/bin/sh", NETWORK_PROGRAM, "missing"])


def require_api() -> None:
    """See in a few seconds that the API server here answers.

    Without etcd it lets every request wait, for longer than the whole look at the host may take.

    Raises:
        KubectlError: It does not.
    """
    kubectl("get", "--raw", "/readyz", "--request-timeout=5s")


def ask_api(record: Record, answer: dict[str, Any]) -> dict[str, Any]:
    """What a master's API server says: nodes go into ``answer``, changes by role are returned."""
    if not record.component("kube_apiserver")["digest"]:
        return {}
    with all_within(SECONDS_FOR_API):
        require_api()
        found: dict[str, Any]
        found, answer["pod_cidrs"], answer["addresses"], answer["cordoned"] = cluster_drift(record.data)
        if record.data["addons"]:
            found["addons"] = addon_drift()
    return found


def last_openings(wanted: FirewallWanted) -> dict[str, Any] | None:
    """What was to get through firewalld when that was last seen to; None where it does not run."""
    if not wanted or not is_active():
        return None
    return {name: wanted[name] for name in ("sources", "ports", "addresses")}


def main() -> None:
    """Print what was found."""
    record = Record(check_mode=True)
    parts = {name: record.component(name) for name in list(record.data["components"])}
    states = unit_states([unit for part in parts.values() for unit in part["units"]])
    pending, reloads = record.data["pending_restarts"], record.data["pending_reloads"]
    drift: dict[str, list[Change]] = {}
    for name, part in parts.items():
        waiting = [change("unit", "restart", unit) for unit in part["units"] if unit in pending]
        waiting += [change("unit", "reload", unit) for unit in part["units"] if unit in reloads]
        drift[name] = file_drift(part) + image_drift(part) + registry_drift(part)
        drift[name] += unit_drift(part["units"], states) + waiting
        drift[name] += pod_network_drift(part, drift[name])
    wanted = record.data["wanted"]
    drift["packages"] = package_drift(wanted, record.data["package_manager"])
    drift.setdefault("host", []).extend(base_drift(wanted))
    answer = {
        "cluster": record.data["cluster"],
        "digests": {name: part["digest"] for name, part in parts.items()},
        **pod_network(record),
        "certificates": {
            name: end for part in parts.values() for name, end in certificate_ends(part).items()
        },
        "made_with": made_with(record),
        "firewall": last_openings(record.data["wanted"]["firewall"]),
        "pod_cidrs": None,
        "cordoned": {},
        "api_error": "",
        "etcd": look(record),
    }
    try:
        for role, changes in ask_api(record, answer).items():
            drift.setdefault(role, []).extend(changes)
    except KubectlError as error:
        answer["api_error"] = str(error)
    answer["drift"] = {name: changes for name, changes in drift.items() if changes}
    sys.stdout.write(json.dumps(answer))


main()
