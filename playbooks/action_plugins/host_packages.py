"""``host_packages``: the module of that name, and the packages that it lacks where hosts have no mirror.

Options: those of the module, and ``repositories``: system, such as debian12/amd64, to a folder on the
controller with packages and their index. The host says which of the packages in the index it lacks; they are
sent in one archive, and the module checks and installs them. Nothing else of the controller is sent.

Variables of the inventory that it reads beside its options: ``k8sbootstrap_made_with``, see the action
``component``.
"""

from __future__ import annotations

import base64
import re
import stat
import tarfile
import tempfile
import zlib
from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.plugins.loader import action_loader

OwnModule = action_loader.get("own_module", class_only=True)
_NEXT = "run k8sbootstrap render or up again to unpack the bundle"
_FILENAME = re.compile(r"^Filename: (?:\./)?([^/\s]+)$", re.MULTILINE)


class ActionModule(OwnModule):
    """Calls the module, and once more with the packages that it asks for."""

    # a temporary folder is made on the host only when there is something to send: it costs a round trip
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        """Standard entry point of an action plugin."""
        result = super(OwnModule, self).run(tmp, task_vars)
        task_vars = task_vars or {}
        arguments = dict(self._task.args)
        folders = {name: Path(folder) for name, folder in (arguments.pop("repositories", None) or {}).items()}
        indexes = {system: _index(folder) for system, folder in folders.items()}
        arguments["indexes"] = {
            system: base64.b64encode(zlib.compress(index, 9)).decode() for system, index in indexes.items()
        }
        arguments["made_with"] = task_vars.get("k8sbootstrap_made_with") or {}
        try:
            result.update(self.answer("host_packages", arguments, task_vars))
            missing = result.pop("missing", None)
            if missing:
                if missing["system"] not in folders:
                    raise AnsibleActionFail(
                        "the host asks for packages of an operating system that is not in the bundle"
                    )
                listed = set(_FILENAME.findall(indexes[missing["system"]].decode()))
                arguments["archive"] = self._send(folders[missing["system"]], missing["files"], listed)
                result.update(self.answer("host_packages", arguments, task_vars))
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)  # noqa: SLF001
        return result

    def _send(self, folder, names, listed):
        strange = sorted(set(names) - listed)
        if strange:
            raise AnsibleActionFail(
                f"the host asks for files that are not packages of the bundle: {strange[0][:100]!r}"
            )
        self._make_tmp_path()
        with tempfile.NamedTemporaryFile(dir=folder.parent, prefix=".send-") as file:
            try:
                with tarfile.open(fileobj=file, mode="w") as tar:
                    for name in dict.fromkeys(names):
                        _add(tar, folder / name)
            except OSError as error:
                raise AnsibleActionFail(f"packages can't be sent to the host: {error}; {_NEXT}") from error
            file.flush()
            target = self._connection._shell.join_path(self._connection._shell.tmpdir, "packages.tar")  # noqa: SLF001
            return self._transfer_file(file.name, target)


def _add(tar, path):
    """Add a regular file; a link or folder under a package's name is none."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise AnsibleActionFail(f"{path} is not a regular file; {_NEXT}")
    tar.add(path, path.name, recursive=False)


def _index(folder):
    try:
        return (folder / "Packages").read_bytes()
    except OSError as error:
        raise AnsibleActionFail(f"the packages for hosts are missing: {error}; {_NEXT}") from error
