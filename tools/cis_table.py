"""The table in docs/cis.md of controls that stay at WARN: ``python -m tools.cis_table``.

It is made from ``k8sbootstrap/checks/cis/reasons.yaml``, between two marks in the page.
"""

from pathlib import Path

from k8sbootstrap.checks.cis.reasons import reasons

PAGE = Path(__file__).parents[1] / "docs" / "cis.md"
BEGIN, END = "<!-- made by python -m tools.cis_table -->\n", "<!-- end -->\n"


def table() -> str:
    """The table, as Markdown."""
    rows = (f"| {name} | {reason} |\n" for name, reason in reasons().items())
    return "| control | reason |\n|---|---|\n" + "".join(rows)


def with_table(page: str) -> str:
    """The page with the table of today."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END, 1)[1]


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
