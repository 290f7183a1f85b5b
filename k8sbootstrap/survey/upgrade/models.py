"""An upgrade as data."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class PendingUpgrade:
    """What is to do on a cluster, or on a part of it, that does not run the release of cluster.yaml yet."""

    version: str
    """Kubernetes release of cluster.yaml."""
    before: tuple[str, ...]
    """Other releases that something runs now, oldest first; empty when only nodes have to be given back."""
    etcd: str
    """Version of etcd that goes with it."""
    etcd_before: tuple[str, ...]
    """Other versions that members run now, oldest first."""
    api_servers: tuple[str, ...]
    """Masters whose API server runs another release."""
    masters: tuple[str, ...]
    """Masters that are upgraded as nodes, one at a time, in this order."""
    workers: tuple[str, ...]
    """Workers that are upgraded then, ``max_unavailable`` at a time."""
    max_unavailable: int
    bare_pods: bool = False
    """Whether pods may be removed that nothing would create again."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """All nodes that are upgraded, in their order."""
        return (*self.masters, *self.workers)

    @property
    def changes_data(self) -> bool:
        """Whether another release is going to use etcd's data: then a snapshot is taken first."""
        return bool(self.api_servers or self.etcd_before)

    def lines(self) -> Iterator[str]:
        """Its steps as lines of text, in order."""
        if self.before:
            yield f"Kubernetes is upgraded from {' and '.join(self.before)} to {self.version}"
        if self.changes_data:
            yield "first: a snapshot of etcd"
        if self.etcd_before:
            yield f"etcd, one member at a time: from {' and '.join(self.etcd_before)} to {self.etcd}"
        if self.api_servers:
            yield f"API servers, one at a time: {', '.join(self.api_servers)}"
        if self.masters:
            yield f"nodes, drained first, one at a time: {', '.join(self.masters)}"
        if self.workers:
            count = min(self.max_unavailable, len(self.workers))
            how = "one at a time" if count == 1 else f"{count} at a time"
            yield f"nodes, drained first, {how}: {', '.join(self.workers)}"

    def to_json(self) -> dict[str, Any]:
        """Its part of the JSON output of ``plan``."""
        return {key: value for key, value in asdict(self).items() if key != "bare_pods"}
