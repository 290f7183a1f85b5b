"""Packages, kernel modules, sysctls, firewall and SELinux booleans of a host, in one call."""

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
from ansible.module_utils.k8sbootstrap_firewalld import (
    FirewallError,
    close_all,
    closed,
    is_active,
    new_files,
    open_all,
    openings,
    words,
)
from ansible.module_utils.k8sbootstrap_packages import MANAGERS, PackageError, platform_of
from ansible.module_utils.k8sbootstrap_record import Record
from ansible.module_utils.k8sbootstrap_repository import Repository, RepositoryError
from ansible.module_utils.k8sbootstrap_selinux import SELinuxError, boolean, set_boolean

DOCUMENTATION = """
module: host_base
short_description: Brings packages, kernel modules, sysctls, firewalld and SELinux to the wanted state
description:
  - Installs the packages that are missing in one transaction, without letting their services start with the
    distribution's default configuration.
  - Opens firewalld where it runs, and sets booleans of SELinux where it is on.
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
  firewall:
    description: >-
      What must get through firewalld: sources (addresses and networks of the cluster), ports that everybody
      may use (as in 6443/tcp), and addresses of this host, whose interfaces' zones the ports are opened in.
    type: dict
    required: true
  selinux_booleans: {description: Booleans of SELinux to set, type: list, elements: str, default: []}
  residue:
    description: >-
      Paths that packages and programs of the cluster create by themselves. Those that are not there yet are
      recorded, and reset removes them.
    type: list
    elements: str
    default: []
  environment_proxy: {description: Proxy variables for the package manager, type: dict, default: {}}
  indexes:
    description: >-
      Indexes of packages that the controller has, by system; packages come from there alone then. Set by the
      action plugin of the same name, as is archive.
    type: dict
    default: {}
  archive: {description: Path of a tar archive with the packages that were missing, type: str, default: ""}
"""


class HostError(Exception):
    """Something the host refused; the text names the command's own error."""


def _run(command: list, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        command, check=False, capture_output=True, text=True, env=dict(os.environ, LC_ALL="C", **environment)
    )


class MissingError(Exception):
    """Packages must be sent first."""

    def __init__(self, system: str, files: list) -> None:
        super().__init__()
        self.missing = {"system": system, "files": files}


def _packages(params: dict, platform: dict, record: Record, check_mode: bool) -> list:
    manager = MANAGERS[platform["manager"]]
    before = manager.installed()
    missing = [name for name in platform["packages"] if name not in before]
    if not missing:
        return []
    if check_mode:
        return missing
    if not params["indexes"]:
        _install_held(manager, missing, params, record, ())
        return missing
    with Repository(params["indexes"]) as repository:
        files = repository.needed(missing)
        if files and not params["archive"]:
            raise MissingError(repository.system, files)
        if files:
            repository.take(params["archive"])
        _install_held(manager, missing, params, record, repository.options)
    return missing


def _install_held(manager, missing: list, params: dict, record: Record, origin: tuple) -> None:
    """Install packages without letting their units start, and record what that brought."""
    before = manager.installed()
    users, groups = _names()
    held = [f"{unit}" for unit in params["hold_units"]]
    # --runtime masks vanish with a reboot, so a run killed here can't leave a service masked for good
    already = {unit for unit in held if _run(["systemctl", "is-active", unit]).returncode == 0}
    held = [unit for unit in held if unit not in already]
    if held:
        _run(["systemctl", "mask", "--runtime", *held])
    try:
        manager.install(missing, params["environment_proxy"], origin)
    finally:
        if held:
            _run(["systemctl", "unmask", "--runtime", *held])
        new = sorted(manager.installed() - before)
        new_users, new_groups = (sorted(now - then) for now, then in zip(_names(), (users, groups)))
        for key, names in (("packages", new), ("package_users", new_users), ("package_groups", new_groups)):
            record.data[key] = sorted({*record.data.get(key, []), *names})
        record.save()


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


def _firewall(wanted: dict, record: Record, check_mode: bool) -> tuple:
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


def _booleans(names: list, record: Record, check_mode: bool) -> list:
    changed = [name for name in names if boolean(name) == "0"]
    for name in changed if not check_mode else ():
        record.data["selinux_booleans"].setdefault(name, "0")
        record.save()
        set_boolean(name, "1")
    return changed


def _cause(name, value, known) -> str:
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
            "firewall": {"type": "dict", "required": True},
            "selinux_booleans": {"type": "list", "elements": "str", "default": []},
            "residue": {"type": "list", "elements": "str", "default": []},
            "environment_proxy": {"type": "dict", "default": {}},
            "indexes": {"type": "dict", "default": {}},
            "archive": {"type": "str", "default": ""},
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
        changes += [
            change("boolean", "set", name, _cause(name, name, known["booleans"]))
            for name in _booleans(params["selinux_booleans"], record, check)
        ]
        of_firewall, right = _firewall(params["firewall"], record, check)
        changes += of_firewall
        record.data["wanted"] = {
            "packages": sorted(platform["packages"]),
            "modules": sorted(params["kernel_modules"]),
            "sysctls": {name: str(value) for name, value in params["sysctls"].items()},
            "booleans": params["selinux_booleans"],
            "firewall": {**params["firewall"], "openings": right},
        }
        record.save()
    except MissingError as lack:
        module.exit_json(changed=False, missing=lack.missing)
    except (HostError, PackageError, RepositoryError, FirewallError, SELinuxError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(changes), changes=changes)


if __name__ == "__main__":
    main()
