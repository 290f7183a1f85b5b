"""Builds what the end-to-end tests install: ``python -m tools.build_ahead``.

Other tests leave one of CI's two cores idle: ``make test`` runs this meanwhile. Where upstream's releases can
be reached, nothing is built.
"""

import sys
import time
from pathlib import Path

from k8sbootstrap.lab import artifacts

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from clusters import ALL, LabCluster  # noqa: E402


def needed(cluster: LabCluster) -> artifacts.Needed:
    """What a cluster of the tests is installed with."""
    versions = tuple(filter(None, (cluster.version, cluster.upgrade_to)))
    runtime, source = ("containerd", "upstream") if cluster.runtime == "upstream" else (cluster.runtime, "")
    return artifacts.Needed(
        versions, runtime, source or "distribution", cluster.kube_bench, cluster.conformance
    )


def main() -> None:
    """Build for each cluster, and print how long each program took."""
    began, building = time.monotonic(), ""

    def progress(text: str) -> None:
        nonlocal began, building
        if building:
            print(f"{building}: {time.monotonic() - began:.0f} s", flush=True)  # noqa: T201
        began, building = time.monotonic(), text

    for cluster in ALL:
        artifacts.fill(needed(cluster), progress)
        progress("")


if __name__ == "__main__":
    main()
