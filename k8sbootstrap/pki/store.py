"""The files of a cluster's PKI in the state directory: read, written, and what to do about a bad one."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from cryptography.x509 import Certificate

from k8sbootstrap import private_files
from k8sbootstrap.errors import StateError
from k8sbootstrap.formats.bounded import load_json
from k8sbootstrap.pki import kubeconfig, table, x509
from k8sbootstrap.state import ADOPT, State, no_state

T = TypeVar("T")
SIGNING = "ca-signing.crt"
"""In the PKI folder while ca.crt has several CAs: the one that signs. kube-controller-manager takes one."""
LEAVES = "leaves.json"
"""In the PKI folder: what certificates say, by name."""


def noted_leaves(pki: Path) -> dict[str, dict[str, Any]]:
    """What is noted of certificates, by name.

    Args:
        pki: The PKI folder.
    """
    noted: dict[str, dict[str, Any]] = load_json(private_files.read(pki / LEAVES) or b"{}")
    return noted


class Store:
    """The files of one cluster's PKI.

    Args:
        state: Where they are.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def path(self, name: str) -> Path:
        """The path of a file by its name in the table."""
        return self._state.kubeconfig if name == table.OPERATOR_KUBECONFIG else self._state.pki / name

    def key_and_certificate(self, name: str) -> tuple[x509.PrivateKey | None, Certificate | None]:
        """What is there of a key and its certificate, which are two files.

        Raises:
            StateError: One is damaged.
        """
        return (
            self.load(self.path(f"{name}.key"), x509.load_key),
            self.load(self.path(f"{name}.crt"), x509.load_certificate),
        )

    def pair(self, entry: table.Leaf | table.Kubeconfig) -> x509.Pair | None:
        """The certificate and key of an entry of the table; None where one is missing.

        Raises:
            StateError: A file is damaged.
        """
        if isinstance(entry, table.Kubeconfig):
            return self.load(self.path(entry.name), kubeconfig.client_pair)
        key, certificate = self.key_and_certificate(entry.name)
        return x509.Pair(certificate, key) if key is not None and certificate is not None else None

    def authority(self, name: str) -> x509.Pair:
        """The certificate and key of an authority that is there to sign.

        Raises:
            StateError: A file is damaged or missing, or the authority can't sign.
        """
        key, certificate = self.key_and_certificate(name)
        path = self.path(f"{name}.crt")
        if key is None and certificate is None:
            raise StateError(f"{no_state(self._state.directory.name)}: {path.name} is missing", hint=ADOPT)
        if key is None or certificate is None:
            lost = self.path(f"{name}.key") if key is None else path
            raise StateError(
                f"{lost} is missing, and nothing can be signed without it", hint=self.restore(lost)
            )
        pair = x509.Pair(certificate, key)
        if wrong := x509.what_is_wrong(pair):
            raise StateError(f"{path}: {wrong}", hint=self.restore(path))
        return pair

    def trusted(self, name: str) -> bytes:
        """All certificates that are trusted as one authority: first the one that signs, then others, as PEM.

        Raises:
            StateError: The file is missing or can't be read.
        """
        path = self.path(f"{name}.crt")
        content = private_files.read(path)
        if content is None:
            raise StateError(f"{path} is missing", hint=self.restore(path))
        return content

    def load(self, path: Path, parse: Callable[[bytes], T]) -> T | None:
        """A file's content; None where it is missing.

        Raises:
            StateError: It is damaged.
        """
        content = private_files.read(path)
        if content is None:
            return None
        try:
            return parse(content)
        except ValueError as exc:
            raise StateError(f"{path} is damaged: {exc}", hint=self.restore(path)) from exc

    def write(self, path: Path, content: bytes) -> None:
        """Write a file, where its content or mode is another one."""
        mode = private_files.PUBLIC if path.suffix in {".crt", ".pub"} else private_files.PRIVATE
        private_files.write(path, content, mode, root=self._state.directory)

    def note_leaves(self, entries: Iterable[table.Leaf | table.Kubeconfig]) -> None:
        """Note what certificates say, for hosts and their digests: a new one that says the same changes none.

        Raises:
            StateError: It can't be written.
        """
        notes = {}
        for entry in entries:
            pair, authority = self.pair(entry), self.authority(entry.ca).certificate
            if pair and entry.name != table.OPERATOR_KUBECONFIG:
                config = isinstance(entry, table.Kubeconfig)
                server = entry.server if isinstance(entry, table.Kubeconfig) else ""
                trusted = x509.load_certificates(self.trusted(entry.ca))[1:] if config else []
                notes[entry.name] = {
                    "says": x509.says(pair.certificate, authority, server, trusted),
                    "authority_ends": authority.not_valid_after_utc.timestamp(),
                }
        content = json.dumps(notes, indent=1, sort_keys=True).encode()
        private_files.write(
            self._state.pki / LEAVES, content, private_files.PRIVATE, root=self._state.directory
        )

    def forget_others(self, entries: Iterable[table.Leaf | table.Kubeconfig], hosts: Iterable[str]) -> None:
        """Remove certificates and kubeconfigs that the table no longer has: they would count in digests.

        Args:
            entries: Those that it has.
            hosts: Names of the hosts whose certificates it has.

        Raises:
            StateError: One can't be removed.
        """
        wanted = {entry.file.removesuffix(".crt") for entry in entries}
        for folder in ("kubeconfigs", *(f"hosts/{host}" for host in hosts)):
            for path in (self._state.pki / folder).glob("*"):
                name = f"{folder}/{path.name.removesuffix('.crt').removesuffix('.key')}"
                if path.suffix in {".crt", ".key", ".conf"} and name not in wanted:
                    private_files.remove(path)

    def keep_modes(self, *paths: Path) -> None:
        """Give files the modes that they should have."""
        for path in paths:
            self.write(path, private_files.read(path) or b"")

    def refuse_if_used(self, missing: Path, users: Iterable[Path]) -> None:
        """Refuse to make a file anew that others depend on.

        Raises:
            StateError: One of them is there.
        """
        for user in users:
            if private_files.read(user) is not None:
                raise StateError(
                    f"{missing} is missing, but {user} depends on it", hint=self.restore(missing)
                )

    def restore(self, path: Path) -> str:
        """What to do about one file: move it away if it can be made again, else restore it."""
        names = {table.SERVICE_ACCOUNT, *(authority.name for authority in table.AUTHORITIES)}
        if path.is_relative_to(self._state.pki):
            relative = path.relative_to(self._state.pki)
            if str(relative.with_suffix("")) in names:
                return (
                    f"Restore it from a backup, or from /etc/kubernetes/pki/{relative} of a master. For a "
                    f"new cluster instead, reset the hosts and move {self._state.pki} away."
                )
        return f"Move {path} away and run the same command again, which makes a new one."
