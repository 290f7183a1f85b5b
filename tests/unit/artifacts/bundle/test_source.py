"""A bundle in the place of sources: nobody else is asked; what it vouched for holds when it is put away."""

import json
from pathlib import Path

import pytest

from k8sbootstrap.artifacts.bundle.reader import open_bundle
from k8sbootstrap.artifacts.fetch import Fetched, fetch_all
from k8sbootstrap.catalog.models import ArtifactFile
from k8sbootstrap.config.models.artifacts import Artifacts
from k8sbootstrap.errors import ArtifactError, BundleError
from k8sbootstrap.state import State

from .conftest import Make

KEY = "kubernetes/1.36.4/amd64/kubelet"
DEAD = {"url": "http://127.0.0.1:9"}


def fetch(folder: Path, *files: ArtifactFile, **artifacts: object) -> dict[str, Fetched]:
    state = State.beside(folder / "cluster.yaml", "demo")
    config = Artifacts.model_validate({"sources": [DEAD]} | artifacts)
    return fetch_all(files, config, state, folder, folder / "cache")


def kubelet(sha256: str | None = None) -> ArtifactFile:
    return ArtifactFile("kubernetes", "1.36.4", "amd64", "kubelet", sha256, url="http://127.0.0.1:9/kubelet")


def test_nobody_else_is_asked(make: Make, tmp_path: Path) -> None:
    make({KEY: b"a kubelet"})
    got = fetch(tmp_path, kubelet(), bundle="bundle.tar")[KEY]
    assert got.path.read_bytes() == b"a kubelet"
    assert (got.source, got.url, got.notes) == (str(tmp_path / "bundle.tar"), None, ())


def test_the_second_time_it_is_in_the_cache(make: Make, tmp_path: Path) -> None:
    make({KEY: b"a kubelet"})
    first = fetch(tmp_path, kubelet(), bundle="bundle.tar")[KEY]
    again = fetch(tmp_path, kubelet(), bundle="bundle.tar")[KEY]
    assert (again.source, again.path) == ("the cache", first.path)


def test_own_builds_stay_when_the_bundle_is_put_away(make: Make, tmp_path: Path) -> None:
    """Without it, a catalogued hash must not bring back upstream's build."""
    path = make({KEY: b"an own build"})
    upstream = kubelet("5" * 64)
    manifest = open_bundle(path).manifest.sha256
    with pytest.raises(ArtifactError, match="must have 5555") as caught:
        fetch(tmp_path, upstream, bundle="bundle.tar")
    assert f'write "bundleManifestSHA256: {manifest}" under artifacts' in caught.value.hint
    with pytest.raises(BundleError, match=f"is a different bundle: its manifest has sha256 {manifest}"):
        fetch(tmp_path, upstream, bundle="bundle.tar", bundleManifestSHA256="6" * 64)
    assert fetch(tmp_path, upstream, bundle="bundle.tar", bundleManifestSHA256=manifest)[KEY].own_build
    path.unlink()
    got = fetch(tmp_path, upstream, sources=[])[KEY]
    assert (got.path.read_bytes(), got.source) == (b"an own build", "the cache")
    pins = json.loads(State.beside(tmp_path / "cluster.yaml", "demo").artifact_pins.read_text())
    assert pins[KEY]["reason"] == "bundle"


def test_what_it_lacks_is_named(make: Make, tmp_path: Path) -> None:
    make({})
    with pytest.raises(ArtifactError, match=f"No usable {KEY}") as caught:
        fetch(tmp_path, kubelet(), bundle="bundle.tar")
    assert f"{tmp_path / 'bundle.tar'}: not in it" in str(caught.value)
    assert "upstream: not used, because a bundle is used" in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)
    assert "bundle create" in caught.value.hint


def test_damage_is_refused_with_both_hashes(make: Make, tmp_path: Path) -> None:
    path = make({KEY: b"a kubelet"})
    bundle = open_bundle(path)
    data = bytearray(path.read_bytes())
    data[bundle.places[KEY]] ^= 1
    path.write_bytes(data)
    with pytest.raises(ArtifactError, match=f"must have {bundle.manifest.files[KEY].sha256}, as ") as caught:
        fetch(tmp_path, kubelet(), bundle="bundle.tar")
    assert f"{path}: refused: it has sha256 " in str(caught.value)


def test_no_bundle_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="there is no bundle"):
        fetch(tmp_path, kubelet(), bundle="gone.tar")
