"""The lab's artifact directory."""

import fcntl
import hashlib
import json
import tarfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from k8sbootstrap.catalog.models import ArtifactFile
from k8sbootstrap.catalog.resolve import conformance
from k8sbootstrap.lab import artifacts, conformance_images, go_build, go_programs
from k8sbootstrap.lab.artifacts import Needed


@pytest.fixture(autouse=True)
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("K8SBOOTSTRAP_CACHE", str(tmp_path))
    artifacts._upstream_answers.cache_clear()
    return tmp_path / "lab" / "artifacts"


def _put(top: Path, name: str, content: bytes) -> Path:
    path = top / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_hashes_are_those_of_the_files(top: Path) -> None:
    _put(top, "etcd/3.4.23/amd64/etcd", b"etcd")
    _put(top, "pause/3.2/amd64/image.tar", b"pause")
    _put(top, "pause/3.2/amd64/.image.tar", b"unfinished")
    artifacts._record_hashes(top)
    assert (top / "SHA256SUMS").read_text().splitlines() == [
        f"{hashlib.sha256(b'etcd').hexdigest()}  etcd/3.4.23/amd64/etcd",
        f"{hashlib.sha256(b'pause').hexdigest()}  pause/3.2/amd64/image.tar",
    ]


def test_a_file_keeps_the_hash_it_had_when_it_was_made(top: Path) -> None:
    path = _put(top, "etcd/3.4.23/amd64/etcd", b"etcd")
    artifacts._record_hashes(top)
    before = (top / "SHA256SUMS").read_text()
    path.write_bytes(b"damaged")
    artifacts._record_hashes(top)
    assert (top / "SHA256SUMS").read_text() == before


def test_a_file_that_is_gone_is_listed_no_more(top: Path) -> None:
    path = _put(top, "etcd/3.4.23/amd64/etcd", b"etcd")
    artifacts._record_hashes(top)
    path.unlink()
    artifacts._record_hashes(top)
    assert (top / "SHA256SUMS").read_text() == ""


def test_the_dns_is_made_an_image_where_its_program_is(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "_upstream_answers", lambda _: False)
    other = tmp_path / "others"
    assert not artifacts.has_dns("1.36.3", [other, top])
    artifacts._dns_image(top, "1.36.3", [other, top])
    assert not artifacts.has_dns("1.36.3", [other, top])
    _put(other, "coredns/1.14.2/amd64/coredns", b"program")
    artifacts._dns_image(top, "1.36.3", [other, top])
    with tarfile.open(top / "coredns/1.14.2/amd64/image.tar") as tar:
        manifest = json.load(tar.extractfile("manifest.json"))
    assert manifest[0]["RepoTags"] == ["registry.k8s.io/coredns/coredns:v1.14.2"]
    assert artifacts.has_dns("1.36.3", [other, top])
    assert not artifacts.has_dns("1.37.2", [other, top])


def test_an_upstream_that_does_not_answer_is_not_there() -> None:
    assert not artifacts._upstream_answers("http://127.0.0.1:9/kubelet")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys of the programs that are to be built, on a machine that does not reach upstream."""
    keys: list[str] = []

    def build(files: Iterable[ArtifactFile], _top: Path) -> Iterator[str]:
        keys.extend(file.key for file in files)
        yield "kubernetes 1.36.3"

    for name, instead in (("_upstream_answers", False), ("_images", None), ("_dns_image", None)):
        monkeypatch.setattr(artifacts, name, lambda *_, instead=instead: instead)
    monkeypatch.setattr(go_build, "build", build)
    return keys


CONTAINERD, DOCKER = (Needed(("1.36.3",), runtime) for runtime in ("containerd", "docker"))
UPSTREAM = Needed(("1.36.3",), "containerd", "upstream")


def test_programs_are_built_from_go_modules(asked: list[str]) -> None:
    said: list[str] = []
    artifacts.fill(CONTAINERD, said.append)
    assert {"kubernetes/1.36.3/amd64/kubelet", "etcd/3.6.8/amd64/etcd", "cni-plugins/1.9.1/amd64/bridge"} <= {
        *asked
    }
    assert any(key.startswith("coredns/") and key.endswith("/coredns") for key in asked)
    assert not any(key.startswith(("cri-dockerd/", "containerd/", "runc/")) for key in asked)
    assert said == [
        "fetching Go modules",
        "building kubernetes 1.36.3 from Go modules (once, 10 to 15 minutes on 2 cores)",
    ]


def test_a_runtime_of_upstream_is_built_too(asked: list[str]) -> None:
    artifacts.fill(UPSTREAM, str)
    assert {"containerd/2.3.4/amd64/containerd-shim-runc-v2", "runc/1.4.3/amd64/runc"} <= {*asked}
    assert go_build.needs_c(artifacts.to_build(UPSTREAM))
    assert not go_build.needs_c(artifacts.to_build(CONTAINERD))


def test_a_version_that_is_not_served_is_replaced_and_cluster_yaml_says_so(
    asked: list[str], top: Path
) -> None:
    artifacts.fill(DOCKER, str)
    built = f"cri-dockerd/{go_programs.SERVED['cri-dockerd']}/amd64/cri-dockerd"
    assert [key for key in asked if key.startswith("cri-dockerd/")] == [built]
    assert artifacts.own_versions(DOCKER, [top]) == {}, "it is not there yet"
    _put(top, built, b"")
    assert artifacts.own_versions(DOCKER, [top]) == {
        "1.36.3": {"criDockerd": go_programs.SERVED["cri-dockerd"]}
    }
    assert artifacts.own_versions(CONTAINERD, [top]) == {}
    assert not any(file.name == "cri-dockerd" for file in artifacts.to_build(DOCKER))


def test_the_catalogued_version_wins_where_a_directory_has_it(asked: list[str], tmp_path: Path) -> None:
    other = tmp_path / "others"
    _put(other, "cri-dockerd/0.3.26/amd64/cri-dockerd", b"")
    artifacts.fill(DOCKER, str, [other])
    assert not any(key.startswith("cri-dockerd/") for key in asked)
    assert artifacts.own_versions(DOCKER, [other]) == {}


def test_what_a_directory_has_is_not_built(asked: list[str], top: Path, tmp_path: Path) -> None:
    other = tmp_path / "others"
    _put(other, "kubernetes/1.36.3/amd64/kubelet", b"")
    _put(top, "etcd/3.6.8/amd64/etcd", b"")
    artifacts.fill(CONTAINERD, str, [other])
    assert "kubernetes/1.36.3/amd64/kube-proxy" in asked
    assert not {"kubernetes/1.36.3/amd64/kubelet", "etcd/3.6.8/amd64/etcd"} & {*asked}


def test_kube_bench_is_built_only_where_it_is_wanted(asked: list[str]) -> None:
    artifacts.fill(DOCKER, str)
    assert not [key for key in asked if "kube-bench" in key]
    artifacts.fill(replace(DOCKER, kube_bench=True), str)
    assert {"kube-bench/0.15.6/amd64/kube-bench", "kube-bench-controls/0.15.6/amd64/node.yaml"} <= {*asked}


TESTS = replace(CONTAINERD, versions=("1.37.2",), conformance=True)
OF_TESTS = {
    "kubernetes-test/1.37.2/amd64/e2e.test",
    "kubernetes-test/1.37.2/amd64/ginkgo",
    "conformance-images/1.37.2/amd64/agnhost",
    "sample-apiserver/0.29.2/amd64/sample-apiserver",
    "etcd/3.7.0/amd64/etcd",
}


def test_conformance_is_built_only_where_it_is_wanted(
    asked: list[str], top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    monkeypatch.setattr(
        conformance_images, "make", lambda images, *_: made.extend(image.artifact.key for image in images)
    )
    artifacts.fill(replace(TESTS, conformance=False), str)
    assert not [key for key in asked if key.startswith(("kubernetes-test/", "conformance-images/"))]
    assert not made
    said: list[str] = []
    _put(top, "nginx/1.27.0-2/amd64/image.tar", b"")
    artifacts.fill(TESTS, said.append)
    assert {*asked} >= OF_TESTS
    assert {"agnhost/2.55/amd64/image.tar", "nginx/1.28.0-2/amd64/image.tar"} <= {*made}
    assert not {"nginx/1.27.0-2/amd64/image.tar", "pause/3.10.2/amd64/image.tar"} & {*made}
    assert said[-1] == "making images for the tests of Kubernetes 1.37.2 (once, less than a minute)"


def test_what_images_are_made_of_is_not_built_for_images_that_are_there(asked: list[str], top: Path) -> None:
    for image in conformance("1.37.2", "amd64").images:
        _put(top, image.artifact.key, b"")
    artifacts.fill(TESTS, str)
    assert {key for key in asked if key in OF_TESTS} == {
        key for key in OF_TESTS if key.startswith(("kubernetes-test/", "etcd/"))
    }


def test_nothing_is_built_where_upstream_answers(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    urls = []
    monkeypatch.setattr(artifacts, "_upstream_answers", lambda url: urls.append(url) or True)
    artifacts.fill(replace(DOCKER, kube_bench=True, conformance=True), str)
    assert asked == []
    assert [url.rpartition("/")[2] for url in urls] == [
        "kube-bench_0.15.6_linux_amd64.tar.gz",
        "kubernetes-test-linux-amd64.tar.gz",
        "",
        "kubelet",
        "",
    ]


def test_it_says_that_it_waits_for_another(asked: list[str], top: Path) -> None:
    top.mkdir(parents=True)
    said: list[str] = []
    with (top.parent / "artifacts.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with ThreadPoolExecutor(1) as pool:
            filled = pool.submit(artifacts.fill, CONTAINERD, said.append)
            deadline = time.monotonic() + 10
            while not said and time.monotonic() < deadline:
                time.sleep(0.01)
            assert said == ["waiting for another lab up, which makes files too"]
            assert asked == []
            fcntl.flock(other, fcntl.LOCK_UN)
            filled.result(10)
    assert asked
