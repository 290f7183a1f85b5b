"""Flags that only some minors take."""

from typing import get_args

from k8sbootstrap.catalog.data import load_catalogue
from k8sbootstrap.catalog.flags import Differences, differences, not_taken
from k8sbootstrap.config.models.base import Component
from k8sbootstrap.config.rules.reserved_flags import OWNED_FLAGS

MINORS = [minor.minor for minor in load_catalogue().minors]


def test_a_flag_ends_and_another_begins():
    it = Differences(
        gone={"oldest": "set new", "older": ""},
        until={"1.36": {"old": "set new"}},
        since={"1.35": ("new",)},
    )
    gone = {"oldest": "set new", "older": "remove it"}
    assert it.not_taken("1.34") == gone | {"new": "remove it, or use Kubernetes 1.35 or later"}
    assert it.not_taken("1.9") == it.not_taken("1.34"), "minors are numbers"
    assert it.not_taken("1.35") == gone
    assert it.not_taken("1.37") == gone | {"old": "set new"}


def test_the_data_is_about_catalogued_minors_and_known_components():
    assert set(differences()) < set(get_args(Component))
    for component, it in differences().items():
        assert {*it.until, *it.since} <= set(MINORS[:-1]), component
        flags = [flag for part in (it.until, it.since) for some in part.values() for flag in some]
        flags += it.gone
        assert len(flags) == len(set(flags)), component


def test_what_the_project_sets_itself_is_not_said_twice():
    """Rules about flags that k8sbootstrap sets come first."""
    for minor in MINORS:
        for component, owned in OWNED_FLAGS.items():
            assert set(owned) & set(not_taken(component, minor)) == set()
    assert not_taken("etcd", "1.36") == {}
