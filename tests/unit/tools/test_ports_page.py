"""docs/ports.md is what the tables say."""

from pathlib import Path

from tools.ports_page import page

DOCS = Path(__file__).parents[3] / "docs"


def test_it_is_up_to_date() -> None:
    assert (DOCS / "ports.md").read_text() == page(), "run: python -m tools.ports_page > docs/ports.md"
