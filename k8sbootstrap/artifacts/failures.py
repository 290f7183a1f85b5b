"""The error for files that could not be obtained: the answer of each place, and the next step."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from k8sbootstrap.catalog.models import ArtifactFile
from k8sbootstrap.catalog.resolve import newest_like
from k8sbootstrap.errors import ArtifactError


@dataclass(frozen=True)
class FetchFailure:
    """A file that could not be obtained from any place."""

    file: ArtifactFile
    answers: tuple[tuple[str, str], ...]
    """Each place that was asked, and what it answered."""
    refused: bool
    """Whether a place had it with a wrong hash."""
    pinned: bool
    """Whether the required hash is the cluster's pin."""
    unknown: bool = False
    """Whether no authority has a hash for it."""
    absent: bool = False
    """Whether upstream answered that it does not have it."""
    allowing: tuple[str, ...] = ()
    """What to write into cluster.yaml where a source has the user's own build."""


def artifact_error(failures: Sequence[FetchFailure], pins: Path, *, bundled: bool) -> ArtifactError:
    """One error for all files; those of one folder that were answered alike are listed together.

    Args:
        failures: At least one.
        pins: The cluster's pin file.
        bundled: Whether a bundle was to have them.
    """
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[str]] = {}
    for failure in failures:
        folder, _, name = failure.file.key.rpartition("/")
        groups.setdefault((folder, failure.answers), []).append(name)
    lines = []
    for (folder, answers), names in groups.items():
        lines.append(f"No usable {folder}/{names[0] if len(names) == 1 else '{' + ', '.join(names) + '}'}")
        lines += [f"  {place}: {answer}" for place, answer in answers]
    hint = (
        "Make a new bundle from this cluster.yaml with k8sbootstrap bundle create."
        if bundled
        else "Put the files into a directory laid out as NAME/VERSION/ARCH/FILE, such as "
        f"{failures[0].file.key}, and name it under artifacts.sources in cluster.yaml."
    )
    if newer := next(filter(None, map(_unknown_release, failures)), ""):
        hint = f"{newer} {hint}"
    if any(failure.refused for failure in failures) and not bundled:
        hint += " Replace refused files with the right ones."
    if allowing := list(dict.fromkeys(each for failure in failures for each in failure.allowing)):
        hint += f" If these are your own builds, write {' and '.join(allowing)}."
    elif any(failure.refused and failure.unknown for failure in failures):
        hint += (
            " For a file without a known hash, write its sha256 under releases in "
            "cluster.yaml, list it in a SHA256SUMS at the top of its directory, or write "
            '"allowUnknown: true" under artifacts.'
        )
    if any(failure.pinned for failure in failures):
        hint += f" If a pinned file changed on purpose, remove its entry from {pins}."
    return ArtifactError("\n".join(lines), hint=hint)


def _unknown_release(failure: FetchFailure) -> str:
    """What to check where a release may not exist: neither the catalogue nor upstream has it. Else empty."""
    version = failure.file.version
    newest = newest_like(version) if failure.file.name == "kubernetes" and failure.absent else ""
    if not newest:
        return ""
    return (
        f"Neither the release catalogue nor upstream has Kubernetes {version}. If there is no such release, "
        f"set kubernetes.version in cluster.yaml to another one, such as {newest}."
    )
