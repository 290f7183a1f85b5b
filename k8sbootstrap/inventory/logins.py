"""Logins to image registries, in the form that docker's config.json has and kubelets read.

The file stays in the state directory, mode 0600; the inventory names it and its hash. A random member makes
that hash useless for guessing passwords.
"""

import base64
import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from k8sbootstrap.config.load import resolve_secret
from k8sbootstrap.config.models.runtime import Registry
from k8sbootstrap.formats.image_names import DOCKER_HUB
from k8sbootstrap.private_files import PRIVATE, read, write
from k8sbootstrap.state import State

_DOCKER_HUB_KEY = "https://index.docker.io/v1/"
"""What docker.io is called in config.json."""
_SALT_BYTES = 16


def read_logins(registries: Sequence[Registry], base: Path) -> dict[str, str]:
    """Fetch passwords from where cluster.yaml says they are.

    Args:
        registries: ``runtime.registries`` of cluster.yaml.
        base: The folder of cluster.yaml.

    Returns:
        Host to user and password, base64 of USER:PASSWORD.

    Raises:
        ConfigError: A password cannot be read.
    """
    return {
        registry.host: base64.b64encode(
            f"{registry.username}:{resolve_secret(registry.password, base)}".encode()
        ).decode()
        for registry in registries
        if registry.username is not None and registry.password is not None
    }


def write_logins(logins: dict[str, str], state: State) -> None:
    """Keep logins in the state directory; without any there is no file.

    Args:
        logins: What ``read_logins`` returned.
        state: The cluster's state.

    Raises:
        StateError: The file cannot be read or written.
    """
    auths = {_DOCKER_HUB_KEY if host == DOCKER_HUB else host: {"auth": auth} for host, auth in logins.items()}
    keep_salted(state.registry_logins, "auths", auths, state)


def keep_salted(path: Path, key: str, content: Mapping[str, Any], state: State) -> None:
    """Keep secrets in a JSON file whose hash says nothing about them; without any there is no file.

    Args:
        path: The file, in the state directory.
        key: The member of it that holds them.
        content: The secrets.
        state: The cluster's state.

    Raises:
        StateError: The file cannot be read or written.
    """
    if not content:
        path.unlink(missing_ok=True)
        return
    salt = _known(path).get("salt") or secrets.token_hex(_SALT_BYTES)
    text = json.dumps({key: content, "salt": salt}, indent=1, sort_keys=True) + "\n"
    write(path, text.encode(), PRIVATE, root=state.directory)


def _known(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(read(path) or b"{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
