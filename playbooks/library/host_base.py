"""Packages, kernel modules and sysctls of a host, in one call."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.k8sbootstrap_base import in_kernel, sysctl_path, sysctl_value
from ansible.module_utils.k8sbootstrap_changes import CONFIGURATION, DRIFT, NEW, change
from ansible.module_utils.k8sbootstrap_firewall import list_nft_tables
from ansible.module_utils.k8sbootstrap_packages import MANAGERS, PackageError, platform_of
from ansible.module_utils.k8sbootstrap_record import Record

DOCUMENTATION = """
module: host_base
short_description: Brings packages, kernel modules and sysctls to the wanted state
description:
  - Installs the packages that are missing in one transaction, without letting their services start with the
    distribution's default configuration.
  - What it did is kept in the host's record, so that reset can take exactly that off again.
options:
  cluster: {description: Name of the cluster, type: str, required: true}
  platforms:
    description: >-
      What to install, by distribution: dicts with os (list of ID and VERSION_ID of /etc/os-release), manager
      (apt or dnf) and packages. The host's own counts.
    type: list
    elements: dict
    required: true
  hold_units:
    description: Units that must not start while packages are installed; their roles start them.
    type: list
    elements: str
    default: []
  kernel_modules: {description: Kernel modules to load, type: list, elements: str, default: []}
  sysctls: {description: Kernel settings, type: dict, default: {}}
  residue:
    description: >-
      Paths that packages and programs of the cluster create by themselves. Those that are not there yet are
      recorded, and reset removes them.
    type: list
    elements: str
    default: []
  environment_proxy: {description: Proxy variables for the package manager, type: dict, default: {}}
"""


class HostError(Exception):
    """Something the host refused; the text names the command's own error."""


def _run(command: list, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        command, check=False, capture_output=True, text=True, env=dict(os.environ, LC_ALL="C", **environment)
    )


def _packages(params: dict, platform: dict, record: Record, check_mode: bool) -> list:
    manager = MANAGERS[platform["manager"]]
    before = manager.installed()
    users, groups = _names()
    missing = [name for name in platform["packages"] if name not in before]
    if not missing:
        return []
    if check_mode:
        return missing
    held = [f"{unit}" for unit in params["hold_units"]]
    # --runtime masks vanish with a reboot, so a run killed here can't leave a service masked for good
    already = {unit for unit in held if _run(["systemctl", "is-active", unit]).returncode == 0}
    held = [unit for unit in held if unit not in already]
    if held:
        _run(["systemctl", "mask", "--runtime", *held])
    try:
        manager.install(missing, params["environment_proxy"])
    finally:
        if held:
            _run(["systemctl", "unmask", "--runtime", *held])
        new = sorted(manager.installed() - before)
        new_users, new_groups = (sorted(now - then) for now, then in zip(_names(), (users, groups)))
        for key, names in (("packages", new), ("package_users", new_users), ("package_groups", new_groups)):
            record.data[key] = sorted({*record.data.get(key, []), *names})
        record.save()
    return missing


def _names() -> tuple:
    return {user.pw_name for user in pwd.getpwall()}, {group.gr_name for group in grp.getgrall()}


def _modules(names: list, record: Record, check_mode: bool) -> list:
    loaded = []
    for name in names:
        if in_kernel(name):
            continue
        loaded.append(name)
        if check_mode:
            continue
        if not shutil.which("modprobe"):
            raise HostError(
                f"kernel module {name} is not loaded and modprobe is not installed (package kmod)"
            )
        done = _run(["modprobe", name])
        if done.returncode != 0:
            raise HostError(f"modprobe {name} failed: {done.stderr.strip()}")
        record.data["modules"] = sorted({*record.data["modules"], name})
    return loaded


def _sysctls(wanted: dict, record: Record, check_mode: bool) -> list:
    changed = []
    for name, value in sorted(wanted.items()):
        now = sysctl_value(name)
        if now is None and not check_mode:
            raise HostError(f"the kernel has no sysctl {name}")
        if now == str(value):
            continue
        changed.append(name)
        if check_mode:
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
            raise HostError(f"sysctl {name}={value} was refused: {error}") from error
    return changed


def _cause(name: str, value, known) -> str:
    """Why something is not as wanted; ``known`` is what was last time: names, or names to values."""
    if name not in known:
        return CONFIGURATION if known else NEW
    return DRIFT if isinstance(known, list) or known[name] == str(value) else CONFIGURATION


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "cluster": {"type": "str", "required": True},
            "platforms": {"type": "list", "elements": "dict", "required": True},
            "hold_units": {"type": "list", "elements": "str", "default": []},
            "kernel_modules": {"type": "list", "elements": "str", "default": []},
            "sysctls": {"type": "dict", "default": {}},
            "residue": {"type": "list", "elements": "str", "default": []},
            "environment_proxy": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    params, check = module.params, module.check_mode
    record = Record(check)
    record.data["cluster"] = params["cluster"]
    if "nft_tables" not in record.data:
        record.data["nft_tables"] = list_nft_tables()
        record.data["residue"] = [path for path in params["residue"] if not os.path.lexists(path)]
    known = record.data["wanted"]
    try:
        platform = platform_of(params["platforms"])
        record.data["package_manager"] = platform["manager"]
        record.save()
        changes = [
            change("package", "install", name, _cause(name, name, known["packages"]))
            for name in _packages(params, platform, record, check)
        ]
        changes += [
            change("module", "load", name, _cause(name, name, known["modules"]))
            for name in _modules(params["kernel_modules"], record, check)
        ]
        changes += [
            change("sysctl", "set", name, _cause(name, params["sysctls"][name], known["sysctls"]))
            for name in _sysctls(params["sysctls"], record, check)
        ]
        record.data["wanted"] = {
            "packages": sorted(platform["packages"]),
            "modules": sorted(params["kernel_modules"]),
            "sysctls": {name: str(value) for name, value in params["sysctls"].items()},
        }
        record.save()
    except (HostError, PackageError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(changes), changes=changes)


if __name__ == "__main__":
    main()
