"""Rules about the cluster's own image registry."""

from collections.abc import Iterator

from k8sbootstrap.config.draft import Draft
from k8sbootstrap.config.models.network import Api
from k8sbootstrap.config.rules.finding import Finding

TAKEN = frozenset({2379, 2380, 2381, 10248, 10249, 10250, 10256, 10257, 10259})
"""Ports of other components, on one kind of host or another; a test holds it to ``plan/components.py``."""


def host(draft: Draft) -> Iterator[Finding]:
    """It runs on a host of the cluster."""
    if draft.registry is None or not draft.all_hosts:
        return
    names = [each.name for each in draft.hosts.values()]
    if names and draft.registry.host not in names:
        yield Finding(
            ("registry", "host"),
            f"{draft.registry.host} is not a host of this file",
            f"name one of {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}",  # noqa: PLR2004
        )


def port(draft: Draft) -> Iterator[Finding]:
    """No other component uses the registry's port."""
    if draft.registry is None:
        return
    api = draft.api or Api()
    if draft.registry.port in {*TAKEN, api.port}:
        yield Finding(
            ("registry", "port"),
            f"{draft.registry.port} is the port of another component",
            "use another port, such as 5000",
        )


def entry(draft: Draft) -> Iterator[Finding]:
    """``runtime.registries`` has no entry for the cluster's own registry."""
    local = draft.registry
    if local is None or draft.runtime is None:
        return
    address = next((each.cluster_address for each in draft.hosts.values() if each.name == local.host), None)
    for index, registry in enumerate(draft.runtime.registries):
        if registry.host == f"{address}:{local.port}":
            yield Finding(
                ("runtime", "registries", index, "host"),
                f"{registry.host} is the cluster's own registry, which needs no entry",
                "remove the entry",
            )
