"""Running commands the way the installed script does, in the same process."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from k8sbootstrap.cli import main
from tests.cluster_yaml import cluster_yaml


@dataclass
class Ran:
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def _run(*args: str) -> Ran:
        with pytest.raises(SystemExit) as ended:
            main(list(args))
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ran(ended.value.code, captured.out, captured.err)

    return _run


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes standard input a terminal at which this is typed."""
    return lambda text: monkeypatch.setattr("sys.stdin", _Terminal(text))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a cluster.yaml of two hosts that refuse connections at once."""
    monkeypatch.chdir(tmp_path)
    closed = "ssh: {port: 9}"
    (tmp_path / "cluster.yaml").write_text(
        cluster_yaml(
            f"name: master1, address: 127.0.0.1, privateAddress: 192.0.2.11, roles: [master], {closed}",
            f"name: worker1, address: 127.0.0.2, privateAddress: 192.0.2.21, roles: [worker], {closed}",
        )
    )
    return tmp_path


@pytest.fixture
def wrong_role(folder: Path) -> str:
    """Puts a mistake into cluster.yaml; what every command says about it."""
    file = folder / "cluster.yaml"
    file.write_text(file.read_text().replace("[worker]", "[wroker]"))
    return (
        "cluster.yaml:7 hosts[1].roles[0]: "
        'must be one of master, worker, etcd, not "wroker"; did you mean worker?\n'
    )
