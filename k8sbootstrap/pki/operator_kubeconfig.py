"""The operator's admin kubeconfig: read from the state, written to a file, merged into another kubeconfig."""

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from k8sbootstrap import private_files
from k8sbootstrap.errors import StateError
from k8sbootstrap.formats.bounded import load_yaml
from k8sbootstrap.state import ADOPT, State, no_state

ADMIN = "kubernetes-admin"
"""The user of the admin kubeconfig."""
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
            f"{no_state(state.directory.name)}: {state.kubeconfig.name} is missing", hint=ADOPT
        ) from None


def ca_of(text: str) -> bytes:
    """The certificate of the CA, in PEM, that the admin kubeconfig has for its cluster.

    Raises:
        StateError: It is no kubeconfig that ``up`` wrote.
    """
    return base64.b64decode(_cluster(load_yaml(text))["certificate-authority-data"])


def server_of(text: str) -> str:
    """HOST:PORT of the API that the admin kubeconfig names.

    Raises:
        StateError: It is no kubeconfig that ``up`` wrote.
    """
    return _cluster(load_yaml(text))["server"].removeprefix("https://")


def with_server(text: str, server: str, name: str = "") -> str:
    """The admin kubeconfig with another server.

    Args:
        text: The kubeconfig.
        server: HOST:PORT of the API.
        name: The name that its certificate has to have; empty for HOST.

    Raises:
        StateError: It is no kubeconfig that ``up`` wrote.
    """
    document = load_yaml(text)
    cluster = _cluster(document)
    cluster["server"] = f"https://{server}"
    if name:
        cluster["tls-server-name"] = name
    return yaml.safe_dump(document, sort_keys=False)


def _cluster(document: Any) -> dict[str, str]:
    """The entry of the cluster in the admin kubeconfig."""
    try:
        cluster: dict[str, str] = document["clusters"][0]["cluster"]
        if {"server", "certificate-authority-data"} <= cluster.keys():
            return cluster
    except (LookupError, TypeError, AttributeError):
        pass
    raise StateError(
        "the admin kubeconfig in the state directory is damaged",
        'Move it away and run "k8sbootstrap up", which makes it again.',
    )


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


def merge(text: str, cluster: str, target: Path, user: str = ADMIN) -> str:
    """Put the cluster's context into a kubeconfig and make it the current one; everything else there stays.

    Args:
        text: The kubeconfig of one user and one cluster.
        cluster: The cluster's name.
        target: The kubeconfig to merge into; made when absent.
        user: The user's name.

    Returns:
        Name of the context.

    Raises:
        StateError: when ``target`` is no kubeconfig or cannot be written; it stays as it was.
    """
    document = _load(target)
    context = f"{user}@{cluster}"
    for kind, entry in _renamed(text, cluster, context).items():
        entries = document[kind] = list(document.get(kind) or [])
        places = [place for place, other in enumerate(entries) if other.get("name") == entry["name"]]
        if places:
            entries[places[0]] = entry
        else:
            entries.append(entry)
    document["current-context"] = context
    write(yaml.safe_dump(document, sort_keys=False), target)
    return context


def _renamed(text: str, cluster: str, context: str) -> dict[str, dict[str, Any]]:
    """A kubeconfig's cluster, user and context, named so that many fit in one file."""
    document = load_yaml(text)
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
