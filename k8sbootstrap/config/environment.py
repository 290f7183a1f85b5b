"""Secrets in the environment, as cluster.yaml says: taken out of it, so that no child process has them."""

import os
from collections.abc import Iterator
from typing import Any

from k8sbootstrap.config.models.base import Model
from k8sbootstrap.config.models.hosts import EnvSecret

_taken: dict[str, str] = {}


def take_secrets(cluster: Model) -> None:
    """Take the variables that a cluster file names for secrets out of this process' environment.

    Hooks, ssh, Ansible and whatever else is started later don't get them.
    """
    for name in _names(cluster):
        value = os.environ.pop(name, None)
        if value is not None:
            _taken[name] = value


def secret_variable(name: str) -> str | None:
    """The value of such a variable; None where it is not set."""
    return os.environ.get(name) or _taken.get(name)


def _names(value: Any) -> Iterator[str]:
    """Every variable that is named anywhere in the models."""
    if isinstance(value, EnvSecret):
        yield value.env
    elif isinstance(value, Model):
        for name in type(value).model_fields:
            yield from _names(getattr(value, name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _names(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _names(item)
