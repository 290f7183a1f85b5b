"""Distribution packages of a host, in one transaction."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.k8sbootstrap.changes import CONFIGURATION, DRIFT, NEW, Cause, change
from ansible.module_utils.k8sbootstrap.host.firewall import list_nft_tables
from ansible.module_utils.k8sbootstrap.host.install import Installation, settle
from ansible.module_utils.k8sbootstrap.host.packages import PackageError, platform_of
from ansible.module_utils.k8sbootstrap.host.record import Record
from ansible.module_utils.k8sbootstrap.host.repository import Repository, RepositoryError
from ansible.module_utils.k8sbootstrap.host.trees import as_found
from ansible.module_utils.k8sbootstrap.made_with import MadeWithError, require_same
from ansible.module_utils.k8sbootstrap.module import Module, one_line

DOCUMENTATION = """
module: host_packages
short_description: Installs the packages that a host lacks
description:
  - Installs them in one transaction, without letting their services start with the distribution's default
    configuration.
  - It removes no package: where one would have to go, it names that and installs nothing.
  - What was new is kept in the host's record, so that reset can take exactly that off again.
options:
  cluster: {description: Name of the cluster, type: str, required: true}
  digest: {description: Of the inputs, for the host's record, type: str, default: ""}
  platforms:
    description: >-
      What to install, by distribution: dicts with os (list of ID and VERSION_ID of /etc/os-release), manager
      (apt or dnf) and packages. The host's own counts.
    type: list
    elements: dict
    required: true
  begin:
    description: >-
      Only begin, and let it go on in the background: the call without this, which must follow, waits for it
      and installs what is missing then. With packages that the controller has, nothing is begun.
    type: bool
    default: false
  hold_units:
    description: Units that must not start while packages are installed; their roles start them.
    type: list
    elements: str
    default: []
  residue:
    description: >-
      Paths that packages and programs of the cluster create by themselves. Those that are not there yet are
      recorded, and reset removes them; of those that are there it removes what is new in them.
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
  made_with:
    description: What can't be changed any more, key to value. Set by the action plugin as well.
    type: dict
    default: {}
  archive: {description: Path of a tar archive with the packages that were missing, type: str, default: ""}
"""


_SETTINGS = ("/etc/containerd", "/etc/docker", "/etc/haproxy", "/etc/keepalived", "/etc/kubernetes", "/root")
"""Where people put files of their own: reset removes none that the record does not have."""


class MissingError(Exception):
    """Packages must be sent first."""

    def __init__(self, system: str, files: list[str]) -> None:
        super().__init__()
        self.missing = {"system": system, "files": files}


def _installed(params: dict[str, Any], wanted: list[str], record: Record, check_mode: bool) -> list[str]:
    """See that all packages are there; returns those that were not."""
    here = Installation(
        record, record.data["package_manager"], params["hold_units"], params["environment_proxy"]
    )
    begun = [] if check_mode else settle(record)
    missing = here.missing(wanted)
    if missing and (check_mode or params["begin"]):
        _refuse_losses(here, missing, params["indexes"])  # before anything else is done to the host
    if not missing or check_mode or (params["begin"] and params["indexes"]):
        return begun + missing
    if params["begin"]:
        here.begin(missing)
    elif params["indexes"]:
        _from_repository(here, missing, params)
    else:
        here.now(missing)
    return begun + missing


def _refuse_losses(here: Installation, missing: list[str], indexes: Mapping[str, str]) -> None:
    if not indexes:
        here.refuse_losses(missing)
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        Repository(indexes, os.path.join(folder, "packages")) as repository,
    ):
        here.refuse_losses(missing, repository.options)


def _from_repository(here: Installation, missing: list[str], params: dict[str, Any]) -> None:
    with Repository(params["indexes"]) as repository:
        files = repository.needed(missing)
        if files and not params["archive"]:
            raise MissingError(repository.system, files)
        if files:
            repository.take(params["archive"])
        here.now(missing, repository.options)


@one_line
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "cluster": {"type": "str", "required": True},
            "digest": {"type": "str", "default": ""},
            "platforms": {"type": "list", "elements": "dict", "required": True},
            "begin": {"type": "bool", "default": False},
            "hold_units": {"type": "list", "elements": "str", "default": []},
            "residue": {"type": "list", "elements": "str", "default": []},
            "environment_proxy": {"type": "dict", "default": {}, "no_log": True},
            "indexes": {"type": "dict", "default": {}},
            "made_with": {"type": "dict", "default": {}},
            "archive": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    params, check = module.params, module.check_mode
    begin = params["begin"]
    record = Record(check)
    try:
        require_same(record, "packages", params["made_with"], [])
    except MadeWithError as error:
        module.fail_json(msg=str(error))
    record.data["cluster"] = params["cluster"]
    if "nft_tables" not in record.data:
        record.data["nft_tables"] = list_nft_tables()
        record.data["residue"] = [path for path in params["residue"] if not os.path.lexists(path)]
        for path in filter(os.path.isdir, params["residue"]):
            record.data["found"].update(as_found(path, data=not path.startswith(_SETTINGS)))
    known = record.data["wanted"]["packages"]
    try:
        platform = platform_of(params["platforms"])
        record.data["package_manager"] = platform["manager"]
        record.save()
        names = _installed(params, platform["packages"], record, check)
        if begin:
            module.exit_json(changed=bool(names) and not (check or params["indexes"]), changes=[])
        record.data["wanted"]["packages"] = sorted(platform["packages"])
        record.component("packages")["digest"] = params["digest"]
        record.save()
    except MissingError as lack:
        module.exit_json(changed=False, missing=lack.missing)
    except (PackageError, RepositoryError, OSError) as error:
        module.fail_json(msg=str(error))
    causes: dict[str, Cause] = dict.fromkeys(names, CONFIGURATION if known else NEW) | dict.fromkeys(
        known, DRIFT
    )
    changes = [change("package", "install", name, causes[name]) for name in names]
    module.exit_json(changed=bool(changes), changes=changes)


if __name__ == "__main__":
    main()
