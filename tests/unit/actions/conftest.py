import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from k8sbootstrap.actions.context import RunContext, RunOptions
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run.progress import Reporter
from k8sbootstrap.run.session import Run, running
from k8sbootstrap.state import State
from tests.cluster_yaml import cluster_yaml
from tests.unit.hosts.sessions import unreachable

MakeContext = Callable[..., RunContext]


@pytest.fixture
def cluster_file(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(cluster_yaml("master1", "worker1"))
    return path


@pytest.fixture
def plan(cluster_file: Path) -> ClusterPlan:
    return load_plan(cluster_file)


@pytest.fixture
def state(cluster_file: Path) -> State:
    return State.beside(cluster_file, "demo")


@pytest.fixture
def run(state: State) -> Iterator[Run]:
    reporter = Reporter(Console(file=io.StringIO(), soft_wrap=True))
    with running(state, "k8sbootstrap up", reporter) as started:
        yield started


@pytest.fixture
def shown(run: Run) -> Callable[[], str]:
    """All that the run has shown."""

    def text() -> str:
        assert isinstance(run.reporter.console.file, io.StringIO)
        return run.reporter.console.file.getvalue()

    return text


@pytest.fixture
def new_context(plan: ClusterPlan, cluster_file: Path, run: Run) -> MakeContext:
    """Makes the context of a run that has done nothing; hosts don't answer unless there is another pool."""

    def make(pool: Pool | None = None, **options: Any) -> RunContext:
        return RunContext.begin(plan, cluster_file, run, pool or Pool(unreachable), RunOptions(**options))

    return make
