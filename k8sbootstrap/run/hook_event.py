"""What a hook reads on its standard input; docs/hooks.md describes it for users."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from k8sbootstrap.config.models.base import HookPoint
from k8sbootstrap.plan.changes import Change
from k8sbootstrap.run.board import HostCount
from k8sbootstrap.run.events import When
from k8sbootstrap.run.record import Outcome

VERSION = 1
"""Version of the format. It goes up when a hook for the last one would misread an event, not for new keys."""


@dataclass(frozen=True)
class About:
    """The run that events are about."""

    cluster: str
    cluster_file: Path
    record: Path
    """The run's folder; its name is the run's id."""

    def environment(self, when: When, point: HookPoint) -> dict[str, str]:
        """The variables that are for hooks alone, for those too small to read JSON."""
        return {
            "K8SBOOTSTRAP_EVENT": when,
            "K8SBOOTSTRAP_PHASE": point,
            "K8SBOOTSTRAP_CLUSTER": self.cluster,
            "K8SBOOTSTRAP_RUN": self.record.name,
        }

    def event(self, when: When, point: HookPoint, hosts: Sequence[str]) -> dict[str, Any]:
        """All of an event that comes before ``point``; the first part of one that comes after it."""
        return {
            "version": VERSION,
            "event": when,
            "phase": point,
            "cluster": self.cluster,
            "cluster_file": str(self.cluster_file),
            "run": self.record.name,
            "run_directory": str(self.record),
            "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "hosts": list(hosts),
        }


@dataclass(frozen=True)
class PhaseOutcome:
    """How a phase or the whole run went."""

    outcome: Outcome
    seconds: float
    error: str
    """What went wrong; empty when nothing did."""
    counts: Mapping[str, HostCount]
    """Per host; those that nothing was done on may be missing."""
    changes: Mapping[str, Sequence[Change]]

    def event(self, hosts: Sequence[str]) -> dict[str, Any]:
        """The second part of an event."""
        return {
            "outcome": self.outcome,
            "seconds": round(self.seconds, 1),
            "error": self.error,
            "results": {
                host: asdict(self.counts.get(host, HostCount()))
                | {"changes": list(map(asdict, self.changes.get(host, ())))}
                for host in hosts
            },
        }
