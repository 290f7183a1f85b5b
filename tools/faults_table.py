"""The table in docs/faults.md of what faults did to a cluster: ``python -m tools.faults_table``.

It is made from tests/e2e/faults/results.json, between two marks in the page. ``make e2e-faults`` writes such
a file to e2e-report/faults.json: copy it there if all tests have passed.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tests" / "e2e" / "faults"
sys.path.insert(0, str(FOLDER))

from rows import Row, table  # noqa: E402

RESULTS = FOLDER / "results.json"
PAGE = ROOT / "docs" / "faults.md"
BEGIN, END = "<!-- made by python -m tools.faults_table -->\n", "<!-- end -->\n"


def with_table(page: str) -> str:
    """The page with the table of the newest results."""
    found = json.loads(RESULTS.read_text())
    rows = [Row(**each) for each in found["rows"]]
    before, rest = page.split(BEGIN)
    text: str = (
        f"Kubernetes {found['kubernetes']} with containerd on Debian 13, on a machine with {found['cpus']} "
        f"cores that all five hosts share, {found['date']}:\n\n" + table(rows)
    )
    return before + BEGIN + text + END + rest.split(END, 1)[1]


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
