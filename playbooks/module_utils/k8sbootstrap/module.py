"""What all modules of the project are: they end with the cause in one line, whatever happens."""

from __future__ import annotations

import functools
import os
import subprocess
import traceback
from collections.abc import Callable
from typing import Any, ClassVar

from ansible.module_utils.basic import AnsibleModule


class Module(AnsibleModule):  # type: ignore[misc]  # Ansible has no types
    """An AnsibleModule that ``one_line`` finds. Nothing that it returns has the value of a no_log option."""

    current: ClassVar[Module | None] = None
    """The one of this process, once it has read its options."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        Module.current = self


def one_line(main: Callable[[], None]) -> Callable[[], None]:
    """Decorate the main function of a module: what it did not expect ends it with the cause in one line."""

    @functools.wraps(main)
    def run() -> None:
        try:
            main()
        except Exception as error:
            if Module.current is None:
                raise
            Module.current.fail_json(msg=cause_of(error))

    return run


def cause_of(error: Exception) -> str:
    """Why something failed, in one line for people."""
    if isinstance(error, subprocess.CalledProcessError):
        said = error.stderr or error.stdout or b""
        text = said if isinstance(said, str) else said.decode("utf-8", "replace")
        command = error.cmd if isinstance(error.cmd, str) else " ".join(map(str, error.cmd))
        return f"{command} ended with code {error.returncode}: {text.strip()[-2000:]}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{os.path.basename(where.filename)}, line {where.lineno}"
    return f"{type(error).__name__}: {error} ({place}); this is a bug in k8sbootstrap: please report it"
