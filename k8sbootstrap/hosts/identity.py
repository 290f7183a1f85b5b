"""Which keys to log in with, and logging in."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paramiko

from k8sbootstrap.errors import HostError
from k8sbootstrap.hosts.endpoint import Place

_USUAL_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


class _EncryptedKeyError(Exception):
    """The key file wants a passphrase."""


def log_in(transport: paramiko.Transport, place: Place, key: Path | None) -> None:
    """Authenticate with the given key, or with the agent's and the usual ones.

    Args:
        transport: A connection whose host key was checked.
        place: Where it leads.
        key: Private key file; None for those of the agent and ``~/.ssh``.

    Raises:
        HostError: The key cannot be used, or the server took none; names what was tried.
    """
    with _agent_keys() as agent:
        identities = [(str(key), _given(place, key, agent))] if key else list(_found(agent))
        if not identities:
            raise HostError(
                f"{place}: there is no SSH key to log in as {place.user}",
                hint="Set ssh.key in cluster.yaml, or load a key into the agent with ssh-add.",
            )
        for _, identity in identities:
            if _accepts(transport, place, identity):
                return
    tried = ", ".join(name for name, _ in identities)
    raise HostError(
        f"{place}: authentication refused for user {place.user} with {tried}",
        hint=f"Check ssh.user and ssh.key in cluster.yaml, and ~{place.user}/.ssh/authorized_keys on "
        "the host.",
    )


def _accepts(transport: paramiko.Transport, place: Place, identity: paramiko.PKey) -> bool:
    try:
        wanted = transport.auth_publickey(place.user, identity)
    except paramiko.AuthenticationException:
        return False
    except (paramiko.SSHException, EOFError, OSError):
        if transport.is_active():
            return False
        raise
    if wanted:
        raise HostError(
            f"{place}: the server requires {', '.join(wanted)} in addition to the key of {place.user}",
            hint="Set ssh.user in cluster.yaml to a user who can log in with only a key.",
        )
    return True


@contextmanager
def _agent_keys() -> Iterator[list[paramiko.AgentKey]]:
    try:
        agent = paramiko.Agent()
    except (paramiko.SSHException, OSError):
        yield []
        return
    try:
        yield list(agent.get_keys())
    finally:
        agent.close()


def _given(place: Place, path: Path, agent: list[paramiko.AgentKey]) -> paramiko.PKey:
    try:
        return _load(path)
    except _EncryptedKeyError as exc:
        for key in agent:
            if key.get_base64() in _public_half(path):
                return key
        raise HostError(
            f"{place}: the SSH key {path} is encrypted, and the agent does not have it",
            hint=f"Run ssh-add {path}, or set ssh.key in cluster.yaml to a key without a passphrase.",
        ) from exc
    except FileNotFoundError as exc:
        raise HostError(
            f"{place}: the SSH key {path} does not exist",
            hint="Correct ssh.key in cluster.yaml, or make the key with ssh-keygen.",
        ) from exc
    except OSError as exc:
        raise HostError(
            f"{place}: the SSH key {path} cannot be read: {exc.strerror}",
            hint="Run the command as the user who owns the key, or set ssh.key in cluster.yaml to another "
            "key.",
        ) from exc
    except ValueError as exc:
        raise HostError(
            f"{place}: {path} is not an SSH private key",
            hint="Set ssh.key in cluster.yaml to the private key, the file without .pub.",
        ) from exc


def _found(agent: list[paramiko.AgentKey]) -> Iterator[tuple[str, paramiko.PKey]]:
    for key in agent:
        yield f"the agent's {key.name} key", key
    for name in _USUAL_KEYS:
        path = Path.home() / ".ssh" / name
        try:
            yield str(path), _load(path)
        except (_EncryptedKeyError, OSError, ValueError):
            continue


def _load(path: Path) -> paramiko.PKey:
    """Read a private key.

    Raises:
        _EncryptedKeyError: It wants a passphrase.
        OSError: The file cannot be read.
        ValueError: It is no private key of a known kind.
    """
    try:
        return paramiko.PKey.from_path(path)
    except (paramiko.PasswordRequiredException, TypeError) as exc:
        raise _EncryptedKeyError from exc
    except (paramiko.SSHException, paramiko.pkey.UnknownKeyType) as exc:
        raise ValueError(f"{path} is not a private key") from exc


def _public_half(path: Path) -> str:
    try:
        return path.with_name(path.name + ".pub").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
