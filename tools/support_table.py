"""The table in docs/support.md of what end-to-end tests install: ``python -m tools.support_table``.

It is made from the clusters of these tests, between two marks in the page.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from clusters import ALL, LabCluster  # noqa: E402

PAGE = ROOT / "docs" / "support.md"
BEGIN, END = "<!-- made by python -m tools.support_table -->\n", "<!-- end -->\n"
_RUNTIMES = {
    "docker": "docker of the distribution, cri-dockerd",
    "containerd": "containerd of the distribution",
    "upstream": "containerd and runc of upstream",
}


def table() -> str:
    """The table, as Markdown."""
    head = "| Kubernetes | runtime | hosts | masters, workers | what is tested |\n|---|---|---|---|---|\n"
    return head + "".join(_row(cluster) for cluster in ALL)


def _row(cluster: LabCluster) -> str:
    release = f"{cluster.version} to {cluster.upgrade_to}" if cluster.upgrade_to else cluster.version
    system = f"Debian {cluster.system.removeprefix('debian')}"
    size = f"{cluster.masters}, {cluster.workers}"
    return f"| {release} | {_RUNTIMES[cluster.runtime]} | {system} | {size} | {cluster.shows} |\n"


def with_table(page: str) -> str:
    """The page with the table of today."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END, 1)[1]


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
