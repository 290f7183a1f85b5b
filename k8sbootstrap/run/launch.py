"""Runs the command line ``ansible ARGUMENTS`` and ends with the program that started it.

Started as ``python -m k8sbootstrap.run.launch PARENT playbook ...``. A killed k8sbootstrap must not leave
an Ansible behind that goes on changing hosts while the next run does the same.
"""

import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """End with the parent process from now on, and become Ansible."""
    parent = int(sys.argv[1])
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before the line above
        sys.exit(128 + signal.SIGTERM)
    for name in os.environ:
        if name.startswith("K8SBOOTSTRAP_SUDO_PASSWORD_"):
            os.unsetenv(name)  # Ansible still finds it in os.environ; ssh and what else it starts don't
    sys.argv = ["ansible", *sys.argv[2:]]
    runpy.run_module("ansible", run_name="__main__")


if __name__ == "__main__":
    main()
