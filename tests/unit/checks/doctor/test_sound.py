"""Nothing is found in a sound cluster; the rules as a whole."""

from k8sbootstrap.checks.doctor import RULES
from tools.doctor_table import PAGE, with_table

from .sound import causes


def test_nothing_is_found_in_a_sound_cluster(plan, look):
    assert causes(plan, look) == []


def test_ids_are_unique_and_causes_come_before_their_consequences():
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    for index, rule in enumerate(RULES):
        assert {*rule.follows, *rule.follows_any} <= set(names[:index]), rule.name
        assert rule.description.endswith("."), rule.name


def test_the_page_has_every_rule():
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page) == page, "python -m tools.doctor_table"
