"""Digests of everything that a role is made from on a host: code, variables, and certificates it copies.

A host's record keeps, per role, the digest that was applied last. Where the digest of now is the same and the
host's files still are as recorded, running the role would change nothing.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from k8sbootstrap.inventory.model import Sections, Variables
from k8sbootstrap.inventory.role_code import files_of
from k8sbootstrap.pki.store import LEAVES, noted_leaves
from k8sbootstrap.resources import data_dir

_APART = ("host_firewall",)
"""Variables that only some hosts do something with: the survey compares them there."""
_ORIGINS = ("packages_repositories",)
"""Variables that only say where something comes from."""
_NODES = "node_settings_nodes"
"""Node to settings. Nodes without any don't count: adding a plain worker changes nothing on masters."""


class Digests:
    """Computes digests for the hosts of one inventory.

    Args:
        shared: Role to the variables that all hosts have.
        pki: The state's PKI folder. What roles copy from it counts by content; certificates and their keys
            count by what the certificates say.
    """

    def __init__(self, shared: Sections, pki: Path) -> None:
        self._shared = {role: _counting(shared.get(role, {})) for role in roles()}
        self._pki = pki
        self._leaves = noted_leaves(pki)
        self._common = {
            str(path.relative_to(pki)): self._content(path)
            for path in _files(pki)
            if path.relative_to(pki).parts[0] not in {"hosts", LEAVES}
        }

    def of_host(self, host: str, own: Sections) -> dict[str, str]:
        """Role to digest, for one host.

        Args:
            host: Its name.
            own: Role to the variables of the host alone.
        """
        files = {
            str(path.relative_to(self._pki)): self._content(path)
            for path in _files(self._pki / "hosts" / host)
        }
        return {role: self._digest(role, files, _counting(own.get(role, {}))) for role in self._shared}

    def _content(self, path: Path) -> str:
        name = str(path.relative_to(self._pki))
        leaf = self._leaves.get(name.removesuffix(".crt").removesuffix(".key"))
        return str(leaf["says"]) if leaf else _sha256(path)

    def _digest(self, role: str, files: Mapping[str, str], variables: Variables) -> str:
        inputs = {**self._shared[role], **variables}
        for variable, value in inputs.items():
            if value == str(self._pki):
                inputs[variable] = {**self._common, **files}
            elif isinstance(value, str) and value.startswith(f"{self._pki}/"):
                inputs[variable] = self._common.get(value.removeprefix(f"{self._pki}/"))
        return _text_digest([code_digest(role), _portable(inputs)])


@cache
def roles() -> tuple[str, ...]:
    """All roles, by name."""
    return tuple(sorted(path.name for path in (data_dir() / "roles").iterdir() if path.is_dir()))


@cache
def code_digest(role: str) -> str:
    """Digest of a role's files, and of those of this program that its tasks and templates use."""
    return _text_digest({str(path.relative_to(data_dir())): _sha256(path) for path in files_of(role)})


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _counting(variables: Variables) -> dict[str, Any]:
    return {
        name: _with_settings(value) if name == _NODES else value
        for name, value in variables.items()
        if name not in (*_ORIGINS, *_APART)
    }


def _with_settings(nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {name: settings for name, settings in nodes.items() if any(settings.values())}


def _portable(value: Any) -> Any:
    """``value`` without where files to install come from: only what they are counts."""
    if isinstance(value, Mapping):
        drop = {"path", "url"} if "sha256" in value else set()
        return {key: _portable(item) for key, item in value.items() if key not in drop}
    return [_portable(item) for item in value] if isinstance(value, list) else value


def _text_digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
