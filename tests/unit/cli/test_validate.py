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
    assert json.loads(ended.out) == {"valid": True, "problems": [], "notes": []}


def test_a_release_that_is_newer_than_the_catalogue_is_noted(run, folder: Path) -> None:
    newer = GOOD.replace("1.36.2", "1.36.99")
    (folder / "cluster.yaml").write_text(newer)
    note = "Kubernetes 1.36.99 is newer than the release catalogue: it gets what goes with 1.36.5."
    ended = run("validate")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[1:] == [f"  {note}"]
    assert json.loads(run("validate", "-o", "json").out)["notes"] == [note]
    (folder / "cluster.yaml").write_text(newer + "releases: {1.36.99: {etcd: 3.6.9}}\n")
    assert json.loads(run("validate", "-o", "json").out)["notes"] == [], "cluster.yaml says what it gets"


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
        "notes": [],
    }


def test_no_file(run) -> None:
    ended = run("validate")
    assert ended.code == 3
    assert ended.err == (
        'cluster.yaml: does not exist; name the file with -f, or write one with "k8sbootstrap init"\n'
    )


class TestCharts:
    """Rendered where helm is at hand, and said where it is not."""

    CHART = Path(__file__).parents[1] / "addons/charts/web"

    @pytest.fixture(autouse=True)
    def _here(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("K8SBOOTSTRAP_CACHE", str(folder / "cache"))
        monkeypatch.setattr("platform.machine", lambda: "x86_64")

    def write(self, folder: Path, more: str) -> None:
        chart = f"manifests: [{{chart: '{self.CHART}', release: shop, values: {{replicas: {more}}}}}]\n"
        (folder / "cluster.yaml").write_text(GOOD + chart)

    def test_without_helm(self, run, folder: Path) -> None:
        self.write(folder, "2")
        ended = run("validate")
        assert (ended.code, ended.err) == (0, "")
        note = "manifests[0] was not checked: helm/4.2.3/amd64/helm is not downloaded yet"
        assert ended.out.splitlines()[1:] == [f"  {note}"]
        assert json.loads(run("validate", "-o", "json").out)["notes"] == [note]

    def test_with_helm(self, run, folder: Path, helm_directory: Path) -> None:
        source = f"artifacts: {{sources: [{{directory: '{helm_directory}'}}]}}\n"
        self.write(folder, f"2}}}}]\n{source}#")
        ended = run("validate")
        assert (ended.code, ended.err) == (0, "")
        assert "chart shop: hooks are not run" in ended.out
        self.write(folder, f"many}}}}]\n{source}#")
        ended = run("validate")
        assert (ended.code, ended.out) == (3, "")
        assert ended.err.startswith("cluster.yaml:10 manifests[0].chart: chart shop: helm: ")
        assert "got string, want integer" in ended.err
        assert not (folder / ".k8sbootstrap").exists()
