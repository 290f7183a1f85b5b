"""Checks that come before all others: without them nothing can be seen on a host."""

from dataclasses import dataclass

from k8sbootstrap.checks.framework import Verdict, failed, passed, skipped
from k8sbootstrap.checks.hosts.base import Seen
from k8sbootstrap.errors import K8sBootstrapError, SudoError
from k8sbootstrap.hosts.ask import NoPythonError, UnusableAnswerError
from k8sbootstrap.plan.models import HostPlan

OLDEST_PYTHON = (3, 9)
"""The oldest that the modules are checked for."""
_ORDER = ("ssh", "sudo", "python")


@dataclass(frozen=True)
class Access:
    """One host, and what became of the question to it."""

    host: HostPlan
    answer: Seen | K8sBootstrapError

    @property
    def blocked(self) -> str:
        """Name of the check that the question failed at; empty where it was answered."""
        match self.answer:
            case Seen():
                return ""
            case NoPythonError() | UnusableAnswerError():
                return "python"
            case SudoError():
                return "sudo"
        return "ssh"


def ssh(case: Access) -> Verdict:
    """The host answers over SSH, shows its known key and lets the user log in.

    Fix: Try what the message names by hand: `ssh -p PORT USER@ADDRESS`. Check the address, the port, the user
    and the key in cluster.yaml, and that no firewall is in between.
    """
    target = case.host.ssh
    return _judge(case, "ssh", f"{target.user}@{target.address}:{target.port}")


def sudo(case: Access) -> Verdict:
    """The user can become root with sudo.

    Fix: Set `ssh.sudoPassword` in cluster.yaml if sudo asks for a password, or let the user run all commands
    without one.
    """
    return _judge(case, "sudo", "works" if case.host.ssh.sudo else "not needed")


def python(case: Access) -> Verdict:
    """Python 3.9 or later is installed.

    Fix: Install Python 3.9 or later on the host: `apt-get install python3` or `dnf install python3`.
    """
    if not isinstance(case.answer, Seen):
        return _judge(case, "python", "installed")
    version = ".".join(str(part) for part in case.answer.facts.python)
    if case.answer.facts.python[:2] >= OLDEST_PYTHON:
        return passed(version)
    return failed(f"{version} is too old", "Install 3.9 or later.")


def _judge(case: Access, check: str, good: str) -> Verdict:
    """The error if it is of this check, ``good`` if the question came past it."""
    if isinstance(case.answer, Seen) or _ORDER.index(check) < _ORDER.index(case.blocked):
        return passed(good)
    if case.blocked != check:
        return skipped(f"{case.blocked} failed")
    message = str(case.answer)
    if check == "python":
        message = message.removeprefix(f"{case.host.name}: ")
    return failed(message, case.answer.hint)
