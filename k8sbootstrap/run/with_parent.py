"""Runs a program that ends when the one that started it ends, also where that was killed.

Started as ``python -P -m k8sbootstrap.run.with_parent PARENT PROGRAM ARGUMENTS``, where PARENT is the number
of the process that starts it.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
COMMAND = (sys.executable, "-P", "-m", "k8sbootstrap.run.with_parent")
"""What it is started with; the arguments follow."""


def main() -> None:
    """Become the program."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):  # it died before the line above
        sys.exit(128 + signal.SIGKILL)
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - there is no shell


if __name__ == "__main__":
    main()
