"""k8sbootstrap adopt on the command line, and what other commands say where a cluster's state is missing."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from k8sbootstrap.actions.context import RunOptions
from k8sbootstrap.cli import adopt
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State

NO_STATE = "this machine has no state of the cluster demo"
CHART = "manifests:\n  - {chart: ./db, release: db}\n"


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What adopt was run with; "was_there" is what it finds."""
    seen: dict[str, Any] = {"was_there": False}

    def run_adopt(plan: ClusterPlan, file: Path, options: RunOptions, _reporter: Any) -> SimpleNamespace:
        seen["options"] = options
        state = State.beside(file, plan.config.name)
        return SimpleNamespace(plan=plan, state=state, was_there=seen["was_there"])

    monkeypatch.setattr(adopt, "run_adopt", run_adopt)
    return seen


@pytest.mark.parametrize("charts", [False, True])
def test_it_names_what_is_not_read_back(run, folder: Path, ran: dict[str, Any], *, charts: bool) -> None:
    if charts:
        (folder / "db").mkdir()
        (folder / "db/Chart.yaml").write_text("name: db\nversion: 1.0.0\n")
        with (folder / "cluster.yaml").open("a") as file:
            file.write(CHART)
    ended = run("adopt", "--yes")
    assert ended.code == 0, ended.err
    assert f"This machine now has the state of the cluster demo: {folder}/.k8sbootstrap/demo" in ended.out
    assert "certs users" in ended.out
    assert ("rendered charts" in ended.out) is charts
    assert ran["options"].allow_authorities(None)


def test_nobody_agrees_where_there_is_no_terminal(run, folder: Path, ran: dict[str, Any]) -> None:
    ran["was_there"] = True
    said = "This machine has the state of the cluster demo already. Nothing was changed.\n"
    assert run("adopt").out == said
    assert ran["options"].allow_authorities is None
    assert ran["options"].ask is None
    assert not (folder / ".k8sbootstrap").exists()


def test_hosts_that_do_not_answer(run, folder: Path) -> None:
    ended = run("adopt", "--yes", "--accept-new-host-keys")
    assert ended.code == 5
    assert "no master of the cluster demo answers. Nothing was changed." in ended.err
    assert not list((folder / ".k8sbootstrap/demo").rglob("*.crt"))


@pytest.mark.parametrize(
    "command",
    [
        ("kubectl", "get", "nodes"),
        ("kubeconfig",),
        ("kubeconfig", "--user", "jane"),
        ("backup", "create", "demo.age", "--passphrase-file", "passphrase"),
    ],
)
def test_commands_that_need_the_state_say_how_to_get_it(run, folder: Path, command: tuple[str, ...]) -> None:
    (folder / "passphrase").write_text("correct horse battery staple\n")
    ended = run(*command)
    assert ended.code == 9
    assert NO_STATE in ended.err
    assert "Next: If the cluster runs, run k8sbootstrap adopt" in ended.err
    assert not list((folder / ".k8sbootstrap").rglob("*.crt"))
