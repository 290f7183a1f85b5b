"""Running the machine's own programs for the lab."""

import os
import subprocess
from pathlib import Path

from k8sbootstrap.errors import LabError


def run(*command: str, cwd: Path | None = None, stdin: str = "", **environment: str) -> str:
    """Run a program and return what it printed.

    Raises:
        LabError: it is not installed, or failed; the text holds the last lines of its own error.
    """
    try:
        done = subprocess.run(
            command,
            check=False,
            cwd=cwd,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            env=dict(os.environ, LC_ALL="C", **environment),
        )
    except FileNotFoundError as error:
        raise LabError(
            f"{command[0]} is not installed on this machine",
            hint='Run "k8sbootstrap lab up", which lists the packages that a lab needs.',
        ) from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-8:]
        raise LabError(f"{' '.join(command)} failed with exit code {done.returncode}:\n" + "\n".join(said))
    return done.stdout


def succeeds(*command: str) -> bool:
    """Run a program, and return whether it succeeded."""
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False
