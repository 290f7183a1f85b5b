"""What docs/support.md says of the end-to-end tests is what they install."""

import re

from tools import support_table


def test_the_page_has_the_table_of_today() -> None:
    page = support_table.PAGE.read_text()
    assert support_table.with_table(page) == page, "run: python -m tools.support_table"


def test_every_cluster_of_the_table_is_installed_by_a_test() -> None:
    folder = support_table.ROOT / "tests" / "e2e"
    defined = set(re.findall(r"^([A-Z_]+) = LabCluster", (folder / "clusters.py").read_text(), re.MULTILINE))
    in_ci, used = (
        {name for file in files for name in re.findall(r"[A-Z_]+", file.read_text())}
        for files in (folder.glob("test_*.py"), folder.rglob("test_*.py"))
    )
    assert len(defined & in_ci) == len(support_table.ALL)
    assert defined <= used
