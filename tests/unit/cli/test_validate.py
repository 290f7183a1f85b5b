"""k8sbootstrap validate."""

import json
from pathlib import Path

import pytest

GOOD = """\
apiVersion: k8sbootstrap/v1alpha1
kind: Cluster
name: demo
kubernetes: {version: 1.36.2}
hosts:
  - {name: m1, address: 10.0.0.11, roles: [master]}
  - {name: m2, address: 10.0.0.12, roles: [master]}
  - {name: m3, address: 10.0.0.13, roles: [master]}
  - {name: w1, address: 10.0.0.21, roles: [worker]}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_good_file_is_summed_up(run, folder: Path) -> None:
    (folder / "cluster.yaml").write_text(GOOD)
    ended = run("validate")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "cluster.yaml is valid: 3 masters, 1 worker, Kubernetes 1.36.2, docker\n"


def test_separate_etcd_and_no_workers_are_mentioned(run, folder: Path) -> None:
    text = GOOD.replace("[worker]", "[etcd]") + "runtime: {name: containerd}\n"
    (folder / "prod.yaml").write_text(text)
    ended = run("-f", "prod.yaml", "validate")
    assert (
        ended.out
        == "prod.yaml is valid: 3 masters, no workers, 1 etcd member, Kubernetes 1.36.2, containerd\n"
    )


def test_problems_go_to_standard_error(run, folder: Path) -> None:
    (folder / "cluster.yaml").write_text(GOOD.replace("[worker]", "[wroker]") + "runtime: {nmae: docker}\n")
    ended = run("validate")
    assert (ended.code, ended.out) == (3, "")
    assert ended.err == (
        "cluster.yaml:9 hosts[3].roles[0]: "
        'must be one of master, worker, etcd, not "wroker"; did you mean worker?\n'
        "cluster.yaml:10 runtime.nmae: is not a known key; did you mean name?\n"
    )


def test_json_of_a_good_file(run, folder: Path) -> None:
    (folder / "cluster.yaml").write_text(GOOD)
    ended = run("validate", "-o", "json")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) == {"valid": True, "problems": []}


def test_json_of_a_bad_file(run, folder: Path) -> None:
    (folder / "cluster.yaml").write_text(GOOD + "runtime: {nmae: docker}\n")
    ended = run("validate", "-o", "json")
    assert (ended.code, ended.err) == (3, "")
    assert json.loads(ended.out) == {
        "valid": False,
        "problems": [
            {
                "file": "cluster.yaml",
                "line": 10,
                "path": "runtime.nmae",
                "message": "is not a known key",
                "fix": "did you mean name?",
            }
        ],
    }


def test_no_file(run) -> None:
    ended = run("validate")
    assert ended.code == 3
    assert ended.err == (
        'cluster.yaml: does not exist; name the file with -f, or write one with "k8sbootstrap init"\n'
    )
