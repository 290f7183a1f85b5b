"""up --restore before any host is asked: what of a backup comes into the state directory, and when."""

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from k8sbootstrap.actions.backup import restoration
from k8sbootstrap.actions.backup.restoration import begun_anew, give_cluster_file, held, read, take_in, write
from k8sbootstrap.actions.backup.sealed import AUTHORITIES, opened
from k8sbootstrap.errors import PreflightError, StateError
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State
from tests.cluster_yaml import cluster_yaml

from .conftest import KEY, SNAPSHOT

Restore = Callable[..., tuple[ClusterPlan, State]]


@pytest.fixture(autouse=True)
def unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


@pytest.fixture
def backup(filled: State, make: Callable[..., Path]) -> Path:
    return make()


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """cluster.yaml in another folder; it is not there yet."""
    folder = tmp_path / "new"
    folder.mkdir()
    return folder / "cluster.yaml"


@pytest.fixture
def take(backup: Path, new: Path) -> Restore:
    """Takes the backup in, with a cluster.yaml of these hosts and keys."""

    def do(*hosts: str, file: Path = backup, **keys: str) -> tuple[ClusterPlan, State]:
        new.write_text(cluster_yaml(*(hosts or ("m1", "w1")), subnet="10.9.9", **keys))
        plan = load_plan(new)
        with opened(file, KEY) as opening:
            take_in(opening, plan, new)
        return plan, State.beside(new, plan.config.name)

    return do


def test_what_is_copied_is_private(take: Restore, filled: State) -> None:
    _, state = take()
    assert restoration.snapshot_of(state).read_bytes() == SNAPSHOT
    assert held(state) == {name: (filled.pki / name).read_bytes() for name in AUTHORITIES.values()}
    files = [path for path in state.restore.rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert not state.pki.exists()  # hosts may turn out not to be empty


def test_nodes_that_are_no_more(take: Restore) -> None:
    found = read(take("m1", "w2")[1])
    assert found is not None
    assert (found.stage, found.gone, found.revision) == ("copied", ("master1", "worker1"), 77)
    assert re.fullmatch(r"restore-\d{8}T\d{6}Z", found.id)
    same = read(take("master1", "worker1", "worker2")[1])
    assert same is not None
    assert same.gone == ()


@pytest.mark.parametrize(
    ("keys", "said", "hint"),
    [
        ({"name": "other"}, "is of the cluster demo, and cluster.yaml says name: other", "Set name to demo."),
        (
            {"kubernetes": "{version: 1.35.6}"},
            "is of Kubernetes 1.36.2, and cluster.yaml says kubernetes.version: 1.35.6",
            "Set kubernetes.version to 1.36.2, or to another release of 1.36.",
        ),
        ({"network": "{podCIDR: 10.77.0.0/16}"}, "its pods are in 10.244.0.0/16", "network.podCIDR back to"),
        (
            {"network": "{serviceCIDR: 10.98.0.0/16}"},
            "Services have addresses in 10.96.0.0/16",
            "Set network.serviceCIDR back to 10.96.0.0/16.",
        ),
        (
            {"network": "{dnsDomain: my.local}"},
            "the DNS domain is cluster.local",
            "Set network.dnsDomain back",
        ),
    ],
)
def test_a_cluster_yaml_of_another_cluster(
    take: Restore, new: Path, keys: dict[str, str], said: str, hint: str
) -> None:
    with pytest.raises(PreflightError) as raised:
        take(**keys)
    assert said in str(raised.value)
    assert hint in raised.value.hint
    assert not (new.parent / ".k8sbootstrap").exists()


def test_another_patch_release_is_allowed(take: Restore) -> None:
    take(kubernetes="{version: 1.36.1}")


def test_a_state_directory_of_another_cluster(take: Restore) -> None:
    _, state = take()
    restoration.forget(state)
    state.pki.mkdir()
    (state.pki / "ca.crt").write_text("another")
    with pytest.raises(StateError, match=r"ca\.crt is not the one in the backup") as raised:
        take()
    assert f"move {state.directory} away" in raised.value.hint
    assert not state.restore.exists()


def test_the_state_directory_of_this_cluster(
    backup: Path, filled: State, plan: ClusterPlan, cluster_file: Path
) -> None:
    """Only the hosts were lost."""
    with opened(backup, KEY) as opening:
        take_in(opening, plan, cluster_file)
    assert read(filled) is not None


def test_one_that_has_begun_goes_on_as_it_began(
    take: Restore, backup: Path, make: Callable[..., Path]
) -> None:
    plan, state = take()
    found = read(state)
    assert found is not None
    begun = begun_anew(found, plan)
    write(state, begun)
    restoration.snapshot_of(state).write_text("damaged")
    take()
    assert read(state) == begun
    assert restoration.snapshot_of(state).read_bytes() == SNAPSHOT
    other = make()  # encrypted anew
    with pytest.raises(StateError, match="a restore from another backup, "):
        take(file=other)


@pytest.mark.parametrize("again", [True, False])
def test_one_that_has_ended_is_known(take: Restore, make: Callable[..., Path], *, again: bool) -> None:
    plan, state = take()
    found = read(state)
    assert found is not None
    restoration.end(state, begun_anew(found, plan))
    assert not restoration.snapshot_of(state).exists()
    assert not [path for path in state.restore.rglob("*.key") if path.is_file()]
    if not again:
        make()
    take()
    found = read(state)
    assert found is not None
    assert (found.stage, found.again) == ("copied", again)


def test_there_is_no_room(take: Restore, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = restoration.shutil.disk_usage("/")
    monkeypatch.setattr(restoration.shutil, "disk_usage", lambda _: usage._replace(free=100))
    with pytest.raises(StateError, match="free, and the snapshot in the backup takes"):
        take()


@pytest.mark.parametrize("change", [{"id": "x"}, {"gone": [".."]}, {"gone": ["."]}, {"stage": "later"}])
def test_a_damaged_note(take: Restore, change: dict[str, object]) -> None:
    """The names in it become paths that are removed, and parts of commands."""
    _, state = take()
    note = state.restore / "restore.json"
    note.write_text(json.dumps(json.loads(note.read_text()) | change))
    with pytest.raises(StateError, match=r"restore\.json is damaged"):
        read(state)


def test_cluster_yaml_is_written_where_there_is_none(backup: Path, new: Path, cluster_file: Path) -> None:
    with opened(backup, KEY) as opening:
        assert give_cluster_file(opening, new)
        assert (new.read_text(), new.stat().st_mode & 0o777) == (cluster_file.read_text(), 0o600)
        new.write_text("mine")
        assert not give_cluster_file(opening, new)
    assert new.read_text() == "mine"
