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
    """cluster.yaml, or a file it names, is wrong. Carries every problem found, not only the first."""

    exit_code = 3

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UnknownReleaseError(K8sBootstrapError):
    """The release catalogue does not have what cluster.yaml asks for."""

    exit_code = 3


class PreflightError(K8sBootstrapError):
    """A host is not fit for what was asked of it; nothing was changed."""

    exit_code = 4


class HostError(K8sBootstrapError):
    """A host could not be reached, or a task failed on it."""

    exit_code = 5


class HostKeyError(HostError):
    """A host's SSH key is unknown or has changed."""


class SudoError(HostError):
    """The login user cannot become root on a host."""


class HookError(K8sBootstrapError):
    """A hook of cluster.yaml failed, and the run with it."""


class VerifyError(K8sBootstrapError):
    """The cluster is up but does not do what a cluster does."""

    exit_code = 6


class LockedError(K8sBootstrapError):
    """Another run holds the cluster's lock."""

    exit_code = 7


class ArtifactError(K8sBootstrapError):
    """A file to install could not be had, or does not have the hash it must have."""

    exit_code = 8


class BundleError(ArtifactError):
    """A bundle could not be made or read, or is not what it says."""


class StateError(K8sBootstrapError):
    """The state directory is missing something or contradicts cluster.yaml."""

    exit_code = 9


class LabError(K8sBootstrapError):
    """The lab's hosts could not be started, found or stopped."""

    exit_code = 10


class InterruptedRunError(K8sBootstrapError):
    """The user stopped the run; the next one goes on from there."""

    exit_code = 130
