"""docs/troubleshooting.md has every error, check and finding, with its fix."""

import re
from pathlib import Path

import pytest

from k8sbootstrap.checks import upgrade
from k8sbootstrap.checks.cluster import ALL_CHECKS
from k8sbootstrap.checks.doctor import RULES
from k8sbootstrap.checks.hosts import CHECK_NAMES
from tests.conftest import Golden
from tools.exit_codes_page import error_classes
from tools.troubleshooting_page import fix, page

PAGE = Path(__file__).parents[3] / "docs" / "troubleshooting.md"


def test_the_page_is_current(golden: Golden) -> None:
    golden(PAGE, page())


def test_everything_with_an_id_has_a_heading_of_its_own() -> None:
    headings = re.findall(r"^### (.*)$", page(), re.MULTILINE)
    assert len(headings) == len(set(headings))
    wanted = {f"`{name}`" for name in (*CHECK_NAMES, *upgrade.NAMES, *(rule.name for rule in RULES))}
    wanted |= {f"verify: {check.name}" for check in ALL_CHECKS}
    wanted |= {
        f"Exit code {error.exit_code}: {error.__name__}"
        for error in error_classes()
        if error.__bases__[0] is not Exception
    }
    assert set(headings) == wanted


def test_a_fix_is_one_paragraph_of_a_docstring() -> None:
    def judge() -> None:
        """All is well.

        Fix: Run this,
        then that.

        Args:
            none: There are none.
        """

    assert fix(judge) == "Run this, then that."


def test_a_check_without_a_fix_is_named() -> None:
    def judge() -> None:
        """All is well."""

    with pytest.raises(ValueError, match=r"judge.*no paragraph that begins with \"Fix:\""):
        fix(judge)
