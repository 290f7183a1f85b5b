"""The cluster's own known_hosts file, in OpenSSH's format: ansible-playbook reads it too."""

import shlex
from collections.abc import Mapping
from pathlib import Path

import paramiko
from paramiko.hostkeys import InvalidHostKey

from k8sbootstrap import private_files
from k8sbootstrap.errors import HostKeyError, StateError
from k8sbootstrap.hosts.endpoint import Place
from k8sbootstrap.state import State, no_state

_RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256")


class KnownHosts:
    """Host keys that were accepted.

    Args:
        path: The file; it need not exist.

    Raises:
        StateError: The file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._keys = paramiko.HostKeys()
        if path.exists():
            try:
                self._keys.load(str(path))
            except (OSError, UnicodeDecodeError, InvalidHostKey) as exc:
                raise StateError(
                    f"{path} cannot be read: {exc}",
                    hint="Correct the file or move it away. Without it you are asked about the keys again.",
                ) from exc

    def keys(self, place: Place) -> Mapping[str, paramiko.PKey]:
        """Accepted keys of one place by type, as in ``{"ssh-ed25519": ...}``; empty where there are none."""
        return dict(self._keys.lookup(place.known_name) or {})

    def preferred(self, place: Place, offered: tuple[str, ...]) -> tuple[str, ...]:
        """Signature algorithms with those first whose keys are known: the server must show one of these."""
        known = set(self.keys(place))
        if "ssh-rsa" in known:
            known.update(_RSA_SIGNATURES)
        return tuple(sorted(offered, key=lambda name: name not in known))

    def check(self, place: Place, shown: paramiko.PKey) -> bool:
        """Compare a key that a server showed with the accepted ones.

        Returns:
            True when it is accepted, False when nothing is known about the place.

        Raises:
            HostKeyError: The place has other keys than the shown one.
        """
        known = self.keys(place)
        if shown in known.values():
            return True
        if not known:
            return False
        expected = known.get(shown.get_name()) or next(iter(known.values()))
        raise HostKeyError(
            f"{place}: the SSH host key has changed: {describe(expected)} was accepted, "
            f"{describe(shown)} is shown now",
            hint="Another machine may pretend to be this host. If you know why the key changed, such as a "
            "new installation, remove the old key and run the same command again: ssh-keygen -f "
            f"{shlex.quote(str(self.path))} -R '{place.known_name}'",
        )

    def how_to_accept(self) -> str:
        """What to do about unknown keys, for a hint. Where nothing is known at all, the state may be lost."""
        if self.path.exists():
            return (
                "Run k8sbootstrap preflight on a terminal to compare and confirm fingerprints, or with "
                "--accept-new-host-keys to trust the keys that the hosts show now."
            )
        return (
            f"No host key is known: {no_state(self.path.parent.name)}. If the cluster runs, run k8sbootstrap "
            "adopt. If it is a new cluster, run k8sbootstrap preflight. On a terminal they show fingerprints "
            "to confirm. With --accept-new-host-keys they trust the keys that the hosts show now."
        )

    def add(self, place: Place, key: paramiko.PKey) -> None:
        """Accept a key and write it down at once.

        Raises:
            StateError: The file cannot be written.
        """
        self._keys.add(place.known_name, key.get_name(), key)
        State(self.path.parent).create()
        before = private_files.read(self.path) or b""
        if before and not before.endswith(b"\n"):
            before += b"\n"
        line = f"{place.known_name} {key.get_name()} {key.get_base64()}\n"
        private_files.write(self.path, before + line.encode(), private_files.PRIVATE, root=self.path.parent)

    def forget(self, place: Place) -> None:
        """Know nothing about a place any more.

        Raises:
            StateError: The file cannot be written.
        """
        before = private_files.read(self.path)
        if before is None:
            return
        own = f"{place.known_name} ".encode()
        lines = [line for line in before.splitlines(keepends=True) if not line.startswith(own)]
        private_files.write(self.path, b"".join(lines), private_files.PRIVATE, root=self.path.parent)


def describe(key: paramiko.PKey) -> str:
    """Type and fingerprint as OpenSSH prints them: ``ssh-ed25519 SHA256:...``."""
    return f"{key.get_name()} {key.fingerprint}"
