"""The lab's artifact directory."""

import hashlib
import json
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from k8sbootstrap.catalog.models import ArtifactFile
from k8sbootstrap.lab import artifacts, debian_build, go_build


@pytest.fixture(autouse=True)
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("K8SBOOTSTRAP_CACHE", str(tmp_path))
    artifacts._upstream_answers.cache_clear()
    monkeypatch.setattr(go_build, "is_available", lambda: False)
    return tmp_path / "lab" / "artifacts"


def _put(top: Path, name: str, content: bytes) -> Path:
    path = top / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _built(top: Path) -> None:
    for binary in debian_build.BINARIES:
        _put(top, f"kubernetes/1.20.2/amd64/{binary}", b"")
    _put(top, "kubernetes/1.20.2/amd64/.recipe", debian_build._RECIPE.encode())


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


def test_kubernetes_is_built_only_where_it_must_be(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "_upstream_answers", lambda _: False)
    assert artifacts.must_be_built("1.20.2")
    assert not artifacts.must_be_built("1.36.3"), "only Debian's release can be built"
    _built(top)
    assert not artifacts.must_be_built("1.20.2")
    assert artifacts.must_be_built("1.20.3"), "the same code with another number"


def test_versions_are_built_together(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "_upstream_answers", lambda _: False)
    monkeypatch.setattr(artifacts, "_images", lambda *_: None)
    monkeypatch.setattr(artifacts, "_from_packages", lambda *_: None)
    built = []
    monkeypatch.setattr(debian_build, "build", built.append)
    said: list[str] = []
    artifacts.fill(["1.20.2", "1.20.3"], said.append)
    folder = top / "kubernetes"
    assert built == [{version: folder / version / "amd64" for version in ("1.20.2", "1.20.3")}]
    assert "1.20.2 and 1.20.3" in said[0]
    _built(top)
    artifacts.fill(["1.20.2", "1.36.3"], said.append)
    assert len(built) == len(said) == 1


def test_a_binary_that_is_missing_is_built(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "_upstream_answers", lambda _: False)
    _built(top)
    (top / "kubernetes/1.20.2/amd64/kubelet").unlink()
    assert artifacts.must_be_built("1.20.2")


def test_binaries_of_another_recipe_are_built_anew(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their hashes are gone before the build begins: it may be killed after the new ones are in place."""
    for name, instead in (("_upstream_answers", False), ("_images", None), ("_from_packages", None)):
        monkeypatch.setattr(artifacts, name, lambda *_, instead=instead: instead)
    _built(top)
    (top / "kubernetes/1.20.2/amd64/.recipe").unlink()
    _put(top, "etcd/3.4.23/amd64/etcd", b"etcd")
    artifacts._record_hashes(top)
    during: list[str] = []

    def build(_: object) -> None:
        during.append((top / "SHA256SUMS").read_text())
        _built(top)

    monkeypatch.setattr(debian_build, "build", build)
    artifacts.fill(["1.20.2"], str)
    artifacts.fill(["1.20.2"], str)
    assert during == [f"{hashlib.sha256(b'etcd').hexdigest()}  etcd/3.4.23/amd64/etcd\n"]
    assert "kubernetes/1.20.2/amd64/kubelet" in (top / "SHA256SUMS").read_text()


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
    assert not artifacts.has_dns("1.20.2", [other, top])


def test_a_reachable_upstream_spares_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(artifacts, "_upstream_answers", lambda url: asked.append(url) or True)
    assert not artifacts.must_be_built("1.20.2")
    assert asked[0].endswith("/kubelet")


def test_an_upstream_that_does_not_answer_is_not_there() -> None:
    assert not artifacts._upstream_answers("http://127.0.0.1:9/kubelet")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys of the programs that are to be built from Go modules, on a machine that has Go and no upstream."""
    keys: list[str] = []

    def build(files: Iterable[ArtifactFile], _top: Path) -> Iterator[str]:
        keys.extend(file.key for file in files)
        yield "kubernetes 1.36.3"

    for name, instead in (("_upstream_answers", False), ("_images", None), ("_dns_image", None)):
        monkeypatch.setattr(artifacts, name, lambda *_, instead=instead: instead)
    monkeypatch.setattr(go_build, "is_available", lambda: True)
    monkeypatch.setattr(go_build, "build", build)
    return keys


def test_programs_of_later_minors_are_built_from_go_modules(asked: list[str]) -> None:
    said: list[str] = []
    artifacts.fill(["1.36.3"], said.append, runtime="containerd")
    assert {"kubernetes/1.36.3/amd64/kubelet", "etcd/3.6.8/amd64/etcd", "cni-plugins/1.9.1/amd64/bridge"} <= {
        *asked
    }
    assert any(key.startswith("coredns/") and key.endswith("/coredns") for key in asked)
    assert not any(key.startswith("cri-dockerd/") for key in asked)
    assert said == ["building kubernetes 1.36.3 from Go modules (once, about 10 minutes on 2 cores)"]
    artifacts.fill(["1.36.3"], said.append, runtime="docker")
    assert any(key.startswith("cri-dockerd/") for key in asked)


def test_what_a_directory_has_is_not_built(asked: list[str], top: Path, tmp_path: Path) -> None:
    other = tmp_path / "others"
    _put(other, "kubernetes/1.36.3/amd64/kubelet", b"")
    _put(top, "etcd/3.6.8/amd64/etcd", b"")
    artifacts.fill(["1.36.3"], str, [other], "containerd")
    assert "kubernetes/1.36.3/amd64/kube-proxy" in asked
    assert not {"kubernetes/1.36.3/amd64/kubelet", "etcd/3.6.8/amd64/etcd"} & {*asked}


@pytest.mark.parametrize(("upstream", "go"), [(True, True), (False, False)])
def test_nothing_is_built_where_upstream_answers_or_go_is_missing(
    asked: list[str],
    monkeypatch: pytest.MonkeyPatch,
    upstream: bool,  # noqa: FBT001
    go: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setattr(artifacts, "_upstream_answers", lambda _: upstream)
    monkeypatch.setattr(go_build, "is_available", lambda: go)
    artifacts.fill(["1.36.3"], str, runtime="containerd")
    assert asked == []
