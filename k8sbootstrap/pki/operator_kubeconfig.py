"""The operator's admin kubeconfig: read from the state, written to a file, merged into another kubeconfig."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from k8sbootstrap import private_files
from k8sbootstrap.errors import StateError
from k8sbootstrap.formats.bounded import load_yaml
from k8sbootstrap.state import State

_LISTS = ("clusters", "users", "contexts")


def read(state: State) -> str:
    """The admin kubeconfig as ``up`` wrote it.

    Raises:
        StateError: when there is none yet.
    """
    try:
        return state.kubeconfig.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise StateError(
            f"there is no admin kubeconfig at {state.kubeconfig}",
            'Run "k8sbootstrap up", which makes it. Or use -f to name the cluster file of a cluster '
            "that is up.",
        ) from None


def default_target(environment: Mapping[str, str]) -> Path:
    """The file that kubectl itself would write to: the first in ``$KUBECONFIG``, else ``~/.kube/config``."""
    first = next((part for part in environment.get("KUBECONFIG", "").split(os.pathsep) if part), "")
    return Path(first) if first else Path.home() / ".kube" / "config"


def write(text: str, target: Path) -> None:
    """Write a kubeconfig atomically, readable by its owner alone. A symbolic link is followed, not replaced.

    Raises:
        StateError: when it cannot be written; what was there stays as it was.
    """
    path = target.expanduser().resolve()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        private_files.replace(path, text.encode())
    except OSError as error:
        raise StateError(f"{target} cannot be written: {error.strerror or error}") from error


def merge(admin: str, cluster: str, target: Path) -> str:
    """Put the cluster's context into a kubeconfig and make it the current one; everything else there stays.

    Args:
        admin: The admin kubeconfig.
        cluster: The cluster's name.
        target: The kubeconfig to merge into; made when absent.

    Returns:
        Name of the context.

    Raises:
        StateError: when ``target`` is no kubeconfig or cannot be written; it stays as it was.
    """
    document = _load(target)
    context = f"kubernetes-admin@{cluster}"
    for kind, entry in _renamed(admin, cluster, context).items():
        entries = document[kind] = list(document.get(kind) or [])
        places = [place for place, other in enumerate(entries) if other.get("name") == entry["name"]]
        if places:
            entries[places[0]] = entry
        else:
            entries.append(entry)
    document["current-context"] = context
    write(yaml.safe_dump(document, sort_keys=False), target)
    return context


def _renamed(admin: str, cluster: str, context: str) -> dict[str, dict[str, Any]]:
    """The admin kubeconfig's cluster, user and context, named so that many fit in one file."""
    document = load_yaml(admin)
    return {
        "clusters": {"name": cluster, "cluster": document["clusters"][0]["cluster"]},
        "users": {"name": context, "user": document["users"][0]["user"]},
        "contexts": {"name": context, "context": {"cluster": cluster, "user": context}},
    }


def _load(target: Path) -> dict[str, Any]:
    """The kubeconfig in ``target``; an empty one when there is no file."""
    path = target.expanduser()
    hint = "Correct the file or move it away, or choose another file with --kubeconfig."
    try:
        document = load_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        document = None
    except OSError as error:
        raise StateError(f"{target} cannot be read: {error.strerror or error}", hint) from error
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1})" if mark else ""
        raise StateError(f"{target} is not valid YAML{place}; it was not changed", hint) from error
    if document is None:
        return {"apiVersion": "v1", "kind": "Config", "preferences": {}}
    if not isinstance(document, dict) or document.get("kind", "Config") != "Config":
        raise StateError(f"{target} is not a kubeconfig; it was not changed", hint)
    for kind in _LISTS:
        entries = document.get(kind) or []
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise StateError(
                f"{target} is not a kubeconfig: {kind} is not a list of objects; it was not changed", hint
            )
    return document
