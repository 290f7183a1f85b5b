"""Kernel modules, sysctls, firewall and SELinux booleans of a host, in one call."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.k8sbootstrap.changes import CONFIGURATION, DRIFT, NEW, Cause, Change, change
from ansible.module_utils.k8sbootstrap.host.firewalld import (
    FirewallError,
    close_all,
    closed,
    is_active,
    new_files,
    open_all,
    openings,
    words,
)
from ansible.module_utils.k8sbootstrap.host.install import settle
from ansible.module_utils.k8sbootstrap.host.kernel import in_kernel, sysctl_path, sysctl_value
from ansible.module_utils.k8sbootstrap.host.record import FirewallWanted, Record
from ansible.module_utils.k8sbootstrap.host.selinux import SELinuxError, boolean, set_boolean
from ansible.module_utils.k8sbootstrap.module import Module, one_line

DOCUMENTATION = """
module: host_base
short_description: Brings kernel modules, sysctls, firewalld and SELinux to the wanted state
description:
  - Loads modules, sets sysctls, opens firewalld where it runs, and sets booleans of SELinux where it is on.
  - What it did is kept in the host's record, so that reset can take exactly that off again.
options:
  cluster: {description: Name of the cluster, type: str, required: true}
  kernel_modules: {description: Kernel modules to load, type: list, elements: str, default: []}
  sysctls: {description: Kernel settings, type: dict, default: {}}
  firewall:
    description: >-
      What must get through firewalld: sources (addresses and networks of the cluster), ports that everybody
      may use (as in 6443/tcp), and addresses of this host, whose interfaces' zones the ports are opened in.
    type: dict
    required: true
  selinux_booleans: {description: Booleans of SELinux to set, type: list, elements: str, default: []}
"""


class HostError(Exception):
    """Something the host refused; the text names the command's own error."""


def _run(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, check=False, capture_output=True, text=True, env=dict(os.environ, LC_ALL="C", **environment)
    )


def _modules(names: list[str], record: Record, check_mode: bool) -> list[str]:
    loaded = []
    for name in names:
        if in_kernel(name):
            continue
        loaded.append(name)
        if check_mode:
            continue
        if not shutil.which("modprobe"):
            settle(record)  # it may be among the packages that are on their way
        if not shutil.which("modprobe"):
            raise HostError(
                f"kernel module {name} is not loaded, and modprobe is not installed: install the package kmod"
            )
        done = _run(["modprobe", name])
        if done.returncode != 0:
            raise HostError(f"modprobe {name} failed: {done.stderr.strip()}")
        record.data["modules"] = sorted({*record.data["modules"], name})
    return loaded


def _sysctls(wanted: Mapping[str, Any], record: Record, check_mode: bool) -> list[str]:
    changed = []
    for name, value in sorted(wanted.items()):
        now = sysctl_value(name)
        if now is None and not check_mode:
            raise HostError(f"the kernel has no sysctl {name}")
        if now == str(value):
            continue
        changed.append(name)
        if check_mode or now is None:
            continue
        if (
            name not in record.data["wanted"]["sysctls"]
        ):  # else it is somebody's drift, not the host's own value
            record.data["sysctls"].setdefault(name, now)
            record.save()
        try:
            with open(sysctl_path(name), "w", encoding="ascii") as handle:
                handle.write(str(value))
        except OSError as error:
            raise HostError(f"the kernel refused sysctl {name}={value}: {error}") from error
    return changed


def _firewall(
    wanted: FirewallWanted, record: Record, check_mode: bool
) -> tuple[list[Change], list[list[str]] | None]:
    """Changes of firewalld, and all openings that are wanted in it; None for these where it does not run."""
    if not is_active():
        return [], None
    ours = list(record.data["firewall"])
    right = openings(wanted)
    missing = closed(right)
    stale = [opening for opening in ours if opening not in right]
    if not check_mode:
        # what is opened is recorded first: a run killed in between must not forget it
        record.data["firewall_files"] += new_files(missing)
        record.data["firewall"] = ours + [opening for opening in missing if opening not in ours]
        record.save()
        open_all(missing)
        close_all(stale)
        record.data["firewall"] = [opening for opening in record.data["firewall"] if opening not in stale]
        record.save()
    changes = [change("firewall", "open", words(each), _cause(each, None, ours)) for each in missing]
    changes += [change("firewall", "close", words(each), CONFIGURATION) for each in stale]
    return changes, right


def _booleans(names: list[str], record: Record, check_mode: bool) -> list[str]:
    changed = [name for name in names if boolean(name) == "0"]
    for name in changed if not check_mode else ():
        record.data["selinux_booleans"].setdefault(name, "0")
        record.save()
        set_boolean(name, "1")
    return changed


def _cause(name: Any, value: Any, known: list[Any] | dict[str, str]) -> Cause:
    """Why something is not as wanted; ``known`` is what was last time: names, or names to values."""
    if name not in known:
        return CONFIGURATION if known else NEW
    return DRIFT if isinstance(known, list) or known[name] == str(value) else CONFIGURATION


@one_line
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "cluster": {"type": "str", "required": True},
            "kernel_modules": {"type": "list", "elements": "str", "default": []},
            "sysctls": {"type": "dict", "default": {}},
            "firewall": {"type": "dict", "required": True},
            "selinux_booleans": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    params, check = module.params, module.check_mode
    record = Record(check)
    record.data["cluster"] = params["cluster"]
    known = record.data["wanted"]
    try:
        changes = [
            change("module", "load", name, _cause(name, name, known["modules"]))
            for name in _modules(params["kernel_modules"], record, check)
        ]
        changes += [
            change("sysctl", "set", name, _cause(name, params["sysctls"][name], known["sysctls"]))
            for name in _sysctls(params["sysctls"], record, check)
        ]
        changes += [
            change("boolean", "set", name, _cause(name, name, known["booleans"]))
            for name in _booleans(params["selinux_booleans"], record, check)
        ]
        wanted_firewall: FirewallWanted = params["firewall"]
        of_firewall, right = _firewall(wanted_firewall, record, check)
        changes += of_firewall
        record.data["wanted"] = {
            "packages": known["packages"],
            "modules": sorted(params["kernel_modules"]),
            "sysctls": {name: str(value) for name, value in params["sysctls"].items()},
            "booleans": params["selinux_booleans"],
            "firewall": {**wanted_firewall, "openings": right},
        }
        record.save()
    except (HostError, FirewallError, SELinuxError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(changes), changes=changes)


if __name__ == "__main__":
    main()
