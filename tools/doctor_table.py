"""Writes the table of doctor's findings into docs/doctor.md: ``python -m tools.doctor_table``."""

from pathlib import Path

from k8sbootstrap.checks.doctor import RULES, START
from k8sbootstrap.checks.doctor.rule import Rule

PAGE = Path(__file__).parents[1] / "docs" / "doctor.md"
BEGIN, END = "<!-- made by python -m tools.doctor_table -->\n", "<!-- end -->\n"
_HEAD = "| id | about | what is wrong | follows from |\n|---|---|---|---|\n"


def with_table(page: str) -> str:
    """The page with the table of today."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + _HEAD + "".join(map(_row, RULES)) + END + rest.split(END, 1)[1]


def _row(rule: Rule) -> str:
    kept_off = set(START) <= set(rule.follows)
    causes = [f"`{name}`" for name in rule.follows if not (kept_off and name in START)]
    causes += ["what keeps it from running"] if kept_off else []
    causes += [f"any `{name}`" for name in rule.follows_any if name not in rule.follows]
    return f"| `{rule.name}` | {rule.title} | {rule.description} | {', '.join(causes)} |\n"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
