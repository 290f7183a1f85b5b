"""``kube_bootstrap_token``: makes the token here, and hands it to the module of that name.

The module never returns it, so its failures are shown as they are. The result of a success is hidden.
"""

from __future__ import annotations

import secrets
import string

from ansible.plugins.loader import action_loader

OwnModule = action_loader.get("own_module", class_only=True)

_ALPHABET = string.ascii_lowercase + string.digits


def _text(length):
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


class ActionModule(OwnModule):
    """See own_module."""

    def answer(self, name, arguments, task_vars):
        """See own_module; a token that was made is in ``token``."""
        if arguments.get("state") != "present":
            return super().answer(name, arguments, task_vars)
        token_id, secret = _text(6), _text(16)
        given = {**arguments, "token_id": token_id, "token_secret": secret}
        found = super().answer(name, given, task_vars)
        if not found.get("failed"):
            found.update(token=f"{token_id}.{secret}", _ansible_no_log=True)
        return found
