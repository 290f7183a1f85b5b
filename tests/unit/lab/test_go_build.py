"""Programs from Go modules: built by the real go, from a proxy in a folder."""

import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from k8sbootstrap.catalog.models import ArtifactFile
from k8sbootstrap.catalog.resolve import release, versions
from k8sbootstrap.errors import LabError
from k8sbootstrap.lab import go_build

pytestmark = pytest.mark.skipif(not go_build.is_available(), reason="Go 1.21 or later is not installed")
MAIN = """package main

import ("fmt"; "k8s.io/component-base/version"; "example.com/greeting")

func main() { fmt.Println(greeting.Text, version.Get()) }
"""
VERSION = """package version

var gitVersion, gitMajor, gitMinor = "none", "", ""

func Get() string { return gitVersion + " " + gitMajor + " " + gitMinor }
"""
GO_MOD = """module k8s.io/kubernetes

go 1.21

godebug asynctimerchan=1

require (
    k8s.io/component-base v0.0.0
    example.com/greeting v1.0.0
)

replace k8s.io/component-base => ./staging/src/k8s.io/component-base

replace example.com/greeting => example.com/better v1.1.0
"""


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a module into the proxy."""
    proxy = tmp_path / "proxy"
    for name, value in {
        "GOPROXY": proxy.as_uri(),
        "GOSUMDB": "off",
        "GOMODCACHE": str(tmp_path / "modules"),
        "GOTOOLCHAIN": "local",
    }.items():
        monkeypatch.setenv(name, value)

    def put(module: str, version: str, go_mod: str, files: dict[str, str]) -> None:
        folder = proxy / module / "@v"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"v{version}.info").write_text(json.dumps({"Version": f"v{version}"}))
        (folder / f"v{version}.mod").write_text(go_mod)
        with zipfile.ZipFile(folder / f"v{version}.zip", "w") as archive:
            for name, text in {"go.mod": go_mod, **files}.items():
                archive.writestr(f"{module}@v{version}/{name}", text)

    yield put
    subprocess.run(["chmod", "-R", "u+w", str(tmp_path)], check=True)  # go protects what it fetched


@pytest.fixture
def kubernetes(publish) -> list[ArtifactFile]:
    """A Kubernetes of one program, published as the real one is."""
    publish("k8s.io/kubernetes", "1.37.2", GO_MOD, {"cmd/kubelet/main.go": MAIN})
    publish("k8s.io/component-base", "0.37.2", "module k8s.io/component-base\n", {"version/v.go": VERSION})
    better = 'package greeting\n\nconst Text = "better"\n'
    publish("example.com/better", "1.1.0", "module example.com/better\n", {"greeting.go": better})
    return [ArtifactFile("kubernetes", "1.37.2", "amd64", "kubelet")]


def test_a_program_is_built_as_it_was_released(kubernetes: list[ArtifactFile], tmp_path: Path) -> None:
    """With the modules that its go.mod puts in the places of others, and the version in it."""
    top = tmp_path / "artifacts"
    assert list(go_build.build(kubernetes, top)) == ["kubernetes 1.37.2"]
    program = top / "kubernetes/1.37.2/amd64/kubelet"
    ran = subprocess.run([program], capture_output=True, text=True, check=True)
    assert ran.stdout == "better v1.37.2 1 37\n"
    assert [path.name for path in program.parent.iterdir()] == ["kubelet"]
    seen = subprocess.run(["go", "version", "-m", program], capture_output=True, text=True, check=True).stdout
    assert "DefaultGODEBUG=asynctimerchan=1" in seen


def test_a_module_that_is_not_served_is_named(publish, tmp_path: Path) -> None:
    (tmp_path / "proxy").mkdir()
    files = [ArtifactFile("coredns", "1.2.3", "amd64", "coredns")]
    with pytest.raises(LabError, match=r"coredns 1\.2\.3 can't be built from Go modules: go mod download"):
        list(go_build.build(files, tmp_path / "artifacts"))
    assert not list(tmp_path.glob("artifacts/**/coredns"))


def test_code_that_does_not_compile_leaves_nothing(publish, tmp_path: Path) -> None:
    publish(
        "github.com/coredns/coredns", "1.2.3", "module github.com/coredns/coredns\n\ngo 1.21\n", {"x.go": "?"}
    )
    with pytest.raises(LabError, match="go build"):
        list(go_build.build([ArtifactFile("coredns", "1.2.3", "amd64", "coredns")], tmp_path / "artifacts"))
    assert not list(tmp_path.glob("artifacts/**/*coredns*/*"))


@pytest.mark.parametrize("version", [version for version in versions() if not version.startswith("1.20.")])
def test_every_program_of_a_release_has_a_source(version: str) -> None:
    for runtime in ("docker", "containerd"):
        wanted = release(version, "amd64", runtime)
        for file in (*wanted.binaries.values(), *wanted.cni_plugins.values(), wanted.crictl):
            assert go_build.can_build(file), file.key
