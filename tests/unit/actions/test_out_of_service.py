"""A host is well again, or what is not is said."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.actions import out_of_service
from k8sbootstrap.actions.context import RunContext
from k8sbootstrap.actions.out_of_service import troubles, wait_until_well
from k8sbootstrap.errors import HostError
from k8sbootstrap.hosts.pool import Pool
from tests.unit.checks.cluster.healthy import make_plan
from tests.unit.checks.cluster.scripted import Cluster

from .conftest import MakeContext

Asked = Callable[..., RunContext]


@pytest.fixture
def asked(new_context: MakeContext, tmp_path: Path) -> Asked:
    """A context of a healthy cluster, but for what is given."""

    def make(**other: Any) -> RunContext:
        plan = make_plan(tmp_path)
        return replace(new_context(Pool(Cluster(plan, **other).connect)), plan=plan)

    return make


def wait(context: RunContext, name: str) -> None:
    host = next(host for host in context.plan.hosts if host.name == name)
    with context.run.step("well", "Well") as step:
        wait_until_well(host)(context, step)


@pytest.mark.parametrize("name", ["m1", "w1"])
def test_a_host_that_is_well(asked: Asked, name: str) -> None:
    """Whatever others are like."""
    wait(asked(dead={"m2", "w2"}), name)


def test_a_host_that_does_not_answer_yet_is_asked_again(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, dead = asked(), {"w1"}
    monkeypatch.setattr(out_of_service, "_POLL", 0.0)
    real = troubles

    def look(*given: Any) -> Any:
        found = real(*given)
        dead.clear()
        return found

    plan = context.plan
    context = replace(context, pool=Pool(Cluster(plan, dead=dead).connect))
    monkeypatch.setattr(out_of_service, "troubles", look)
    wait(context, "w1")


def test_one_that_is_not_well_in_time(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(out_of_service, "_SECONDS_TO_BE_WELL", 0.0)
    with pytest.raises(HostError, match=r"w1 is not well 0 s after its start: ssh: .*no route"):
        wait(asked(dead={"w1"}), "w1")
