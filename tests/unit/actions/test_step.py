from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from k8sbootstrap.actions.step import Step, StepReporter, take
from k8sbootstrap.errors import HostError, StateError


class Begin:
    """What was reported: steps, how they ended, and their messages."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @contextmanager
    def __call__(self, name: str, title: str) -> Iterator["Begin"]:
        self.lines.append(f"{name}: {title}")
        try:
            yield self
        except BaseException:
            self.lines.append(f"{name} failed")
            raise

    def note(self, text: str) -> None:
        self.lines.append(text)

    def status(self, text: str) -> None:
        self.lines.append(f"now {text}")


def fail(error: Exception) -> None:
    raise error


def count(context: list[int], step: StepReporter) -> None:
    context.append(len(context))
    step.note(f"counted {len(context)}")
    step.status("counting")


def test_steps_are_done_in_order_as_far_as_they_are_needed() -> None:
    begin, context = Begin(), [0]
    steps = (
        Step("one", "One", count),
        Step("two", "Two", count, needed=lambda context: len(context) > 2),
        Step("three", "Three", count, needed=lambda context: len(context) == 2),
    )
    take(steps, context, begin)
    assert begin.lines == [
        "one: One",
        "counted 2",
        "now counting",
        "three: Three",
        "counted 3",
        "now counting",
    ]
    assert context == [0, 1, 2]


def test_a_step_without_a_title_is_not_reported() -> None:
    begin, context = Begin(), [0]
    take([Step("quiet", "", count)], context, begin)
    assert (begin.lines, context) == ([], [0, 1])


@pytest.mark.parametrize("title", ["", "One"])
def test_nothing_is_done_after_a_failure(title: str) -> None:
    context: list[int] = []
    steps = (Step("one", title, lambda *_: fail(HostError("m1"))), Step("two", "Two", count))
    with pytest.raises(HostError, match="m1"):
        take(steps, context, Begin())
    assert context == []


def test_a_step_that_may_fail_says_so_and_the_others_go_on() -> None:
    begin, context = Begin(), [0]
    steps = (
        Step("one", "One", lambda *_: fail(HostError("m1")), may_fail=True),
        Step("two", "", count),
    )
    take(steps, context, begin)
    assert (begin.lines, context) == (["one: One", "one failed"], [0, 1])


def test_only_a_host_may_fail_it() -> None:
    with pytest.raises(StateError):
        take([Step("one", "One", lambda *_: fail(StateError("x")), may_fail=True)], [0], Begin())
