from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.report.history import History, read_history
from k8sbootstrap.report.model import Page, build_page
from k8sbootstrap.report.recorded import Recorded, read_run
from k8sbootstrap.state import State
from tests.report_runs import make_run

Read = Callable[..., Recorded]


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / ".k8sbootstrap" / "demo")


@pytest.fixture
def read(state: State) -> Read:
    """Makes a run as ``make_run`` does and reads it."""

    def _read(events: str, **how: Any) -> Recorded:
        return read_run(make_run(state, events, **how), "demo")

    return _read


@pytest.fixture
def history(read: Read) -> Callable[[str], History]:
    return lambda events: read_history(read(events).events)


@pytest.fixture
def page(read: Read) -> Callable[..., Page]:
    return lambda events, **how: build_page(read(events, **how))
