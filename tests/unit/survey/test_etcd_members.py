"""Members that join etcd, as people and scripts read of them."""

import pytest

from k8sbootstrap.survey.etcd_members import EtcdGrowth


@pytest.mark.parametrize(
    ("growth", "line"),
    [
        (
            EtcdGrowth(("m2", "m3"), 3),
            (
                "etcd: m2 and m3 join one after another: "
                "1 member, of which 0 may fail, become 3, of which 1 may fail"
            ),
        ),
        (
            EtcdGrowth(("e5",), 5),
            "etcd: e5 joins: 4 members, of which 1 may fail, become 5, of which 2 may fail",
        ),
    ],
)
def test_how_many_members_may_fail(growth: EtcdGrowth, line: str) -> None:
    assert growth.line() == line


def test_growth_as_json() -> None:
    assert EtcdGrowth(("m2", "m3"), 3).to_json() == {
        "joins": ["m2", "m3"],
        "members": {"before": 1, "after": 3},
        "mayFail": {"before": 0, "after": 1},
    }
