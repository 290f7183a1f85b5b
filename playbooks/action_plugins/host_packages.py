"""``host_packages``: the module of that name, and the packages that it lacks where hosts have no mirror.

Options: those of the module, and ``repositories``: system, such as debian12/amd64, to a folder on the
controller with packages and their index. The host says which packages it lacks of those it needs; they are
sent in one archive, and the module checks and installs them.
"""

from __future__ import annotations

import base64
import tarfile
import tempfile
import zlib
from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

_NEXT = "run k8sbootstrap render or up again to unpack the bundle"


class ActionModule(ActionBase):
    """Calls the module, and once more with the packages that it asks for."""

    # a temporary folder is made on the host only when there is something to send: it costs a round trip
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        """Standard entry point of an action plugin."""
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        folders = arguments.pop("repositories", None) or {}
        arguments["indexes"] = {system: _index(Path(folder)) for system, folder in folders.items()}
        try:
            result.update(self._call(arguments, task_vars))
            missing = result.pop("missing", None)
            if missing:
                arguments["archive"] = self._send(Path(folders[missing["system"]]), missing["files"])
                result.update(self._call(arguments, task_vars))
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)  # noqa: SLF001
        return result

    def _call(self, arguments, task_vars):
        return self._execute_module(module_name="host_packages", module_args=arguments, task_vars=task_vars)

    def _send(self, folder, names):
        self._make_tmp_path()
        self._cleanup_remote_tmp = True
        with tempfile.NamedTemporaryFile(dir=folder.parent, prefix=".send-") as file:
            try:
                with tarfile.open(fileobj=file, mode="w") as tar:
                    for name in names:
                        tar.add(folder / name, name)
            except OSError as error:
                raise AnsibleActionFail(f"packages can't be sent: {error}; {_NEXT}") from error
            file.flush()
            target = self._connection._shell.join_path(self._connection._shell.tmpdir, "packages.tar")  # noqa: SLF001
            return self._transfer_file(file.name, target)


def _index(folder):
    try:
        return base64.b64encode(zlib.compress((folder / "Packages").read_bytes(), 9)).decode()
    except OSError as error:
        raise AnsibleActionFail(f"the packages for hosts are not there: {error}; {_NEXT}") from error
