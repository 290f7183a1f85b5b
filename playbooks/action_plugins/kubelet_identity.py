"""``kubelet_identity``: the module of that name, and of its answer only what may be kept."""

from __future__ import annotations

from ansible.plugins.loader import action_loader

OwnModule = action_loader.get("own_module", class_only=True)


class ActionModule(OwnModule):
    """See own_module."""
