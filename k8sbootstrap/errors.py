"""Every error this program raises on purpose, and the one map from errors to exit codes.

Raise the most specific class. The command line prints ``str(error)``, then ``error.hint`` (the next step),
and exits with ``error.exit_code``; nothing else in the package exits or prints.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class K8sBootstrapError(Exception):
    """Base of all errors that a user is meant to read.

    Args:
        message: What went wrong, in one sentence that names the thing it went wrong with.
        hint: The next step for the reader; empty when the message already says it.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong in a configuration file."""

    file: Path
    line: int
    """1-based line; 0 when the problem belongs to the file as a whole."""
    path: str
    """Where in the document, as in ``hosts[1].address``; empty for the document itself."""
    message: str
    fix: str
    """What would be right."""

    @property
    def described(self) -> str:
        """The problem without the file that it is in."""
        where = f"{self.path}: " if self.path else ""
        fix = f"; {self.fix}" if self.fix else ""
        return f"{where}{self.message}{fix}"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else f"{self.file}:"
        return f"{place} {self.described}"


class ConfigError(K8sBootstrapError):
    """cluster.yaml, or a file it names, is wrong. Carries every problem found, not only the first.

    Fix: Every line names the file, the line, the key and what would be right. Correct them, and run
    `k8sbootstrap validate`, which asks no host.
    """

    exit_code = 3

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UnknownReleaseError(K8sBootstrapError):
    """The release catalogue does not have what cluster.yaml asks for.

    Fix: Set `kubernetes.version` to a release that [is supported](support.md), or write the versions that go
    with it into `releases`.
    """

    exit_code = 3


class PreflightError(K8sBootstrapError):
    """A host is not fit for what was asked of it; nothing was changed.

    Fix: The output names each check that failed, the host and the fix: see the checks below. A failure that
    you know to be harmless can be ignored by the check's name.
    """

    exit_code = 4


class HostError(K8sBootstrapError):
    """A host could not be reached, or a task failed on it.

    Fix: Read the message: it has the task and the host's own words. `k8sbootstrap doctor` says what is wrong
    on the hosts. Then run the same command again: it continues.
    """

    exit_code = 5


class HostKeyError(HostError):
    """A host's SSH key is unknown or has changed.

    Fix: If the key is unknown, compare the fingerprint with the host's own, and confirm it: `k8sbootstrap
    preflight` asks on a terminal. If it has changed and you know why, such as a new installation, run the
    command that the message names. If you don't know why, another machine may answer in the host's place.
    """


class SudoError(HostError):
    """The login user cannot become root on a host.

    Fix: Set `ssh.sudoPassword` in cluster.yaml if sudo asks for a password. Or let the user run all commands
    without one: `admin ALL=(ALL) NOPASSWD: ALL` in `/etc/sudoers.d/`.
    """


class HookError(K8sBootstrapError):
    """A hook of cluster.yaml failed, and the run with it.

    Fix: The output of the hook is in `hooks.log` of the run. Correct the hook, and run the command again.
    With `onFailure: warn` a hook that fails stops nothing ([hooks](hooks.md)).
    """


class VerifyError(K8sBootstrapError):
    """The cluster is up but does not do what a cluster does.

    Fix: Run `k8sbootstrap doctor`: it names the cause and the command that fixes it. Each check of verify is
    described below.
    """

    exit_code = 6


class LockedError(K8sBootstrapError):
    """Another command is changing the cluster.

    Fix: The message says who holds the lock: which command, on which machine, since when. Wait until it has
    ended. A lock whose command was killed is free by itself, after 60 seconds at most.
    """

    exit_code = 7


class ArtifactError(K8sBootstrapError):
    """A file to install could not be had, or does not have the hash it must have.

    Fix: If the file can't be fetched: check the network, the proxy, or name a mirror in `artifacts.sources`
    ([files](artifacts.md)). If its hash is wrong, do not use it: the source serves something else than the
    project has released.
    """

    exit_code = 8


class BundleError(ArtifactError):
    """A bundle could not be made or read, or is not what it says.

    Fix: Make the bundle again with the cluster.yaml that it is for, and carry it over whole: `k8sbootstrap
    bundle create` ([bundles](bundle.md)).
    """


class StateError(K8sBootstrapError):
    """The state directory is missing something or contradicts cluster.yaml.

    Fix: The message names the file. If the state directory is lost, run `k8sbootstrap up`: it reads the CAs
    back from a master, and asks ([state](architecture.md#state-beside-clusteryaml)).
    """

    exit_code = 9


class LabError(K8sBootstrapError):
    """The lab's hosts could not be started, found or stopped.

    Fix: The message names what is missing on this machine. After a crash, `k8sbootstrap lab down` removes
    what is left ([the lab](lab.md)).
    """

    exit_code = 10


class BackupError(K8sBootstrapError):
    """A backup could not be made or decrypted, or is not what it says.

    Fix: Check the key or passphrase, and that the file is complete. Try an older backup if this one is
    damaged ([backup](backup.md)).
    """

    exit_code = 12


class InterruptedRunError(K8sBootstrapError):
    """The user stopped the run; the next one goes on from there.

    Fix: Run the same command again. It continues where it was stopped.
    """

    exit_code = 130
