"""Programs from Go modules: built by the real go, from a proxy in a folder."""

import json
import shutil
import subprocess
import threading
import zipfile
from pathlib import Path

import pytest

from k8sbootstrap.catalog.models import ArtifactFile
from k8sbootstrap.catalog.resolve import conformance, kube_bench, release, versions
from k8sbootstrap.errors import LabError
from k8sbootstrap.lab import go_build, go_toolchain

GO = shutil.which("go")
pytestmark = pytest.mark.skipif(GO is None, reason="Go is not installed")
MAIN = """package main

import ("fmt"; "k8s.io/component-base/version"; "example.com/greeting")

func main() { fmt.Println(greeting.Text, version.Get()) }
"""
VERSION = """package version

var gitVersion, gitMajor, gitMinor = "none", "", ""

func Get() string { return gitVersion + " " + gitMajor + " " + gitMinor }
"""
E2E = """package e2e

import ("fmt"; "testing"; "k8s.io/component-base/version")

func TestE2E(t *testing.T) { fmt.Println(version.Get()) }
"""
GO_MOD = """module k8s.io/kubernetes

go 1.21

godebug asynctimerchan=1

require (
    k8s.io/component-base v0.0.0
    example.com/greeting v1.0.0
    github.com/onsi/ginkgo/v2 v2.1.0
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
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(go_build, "_ENVIRONMENT", go_build._ENVIRONMENT | {"GOTOOLCHAIN": "local"})
    monkeypatch.setattr(go_toolchain, "ensure", lambda: str(GO))

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
    files = {
        "cmd/kubelet/main.go": MAIN,
        "test/e2e/e2e.go": "package e2e\n",
        "test/e2e/e2e_test.go": E2E,
    }
    publish("k8s.io/kubernetes", "1.37.2", GO_MOD, files)
    ginkgo = "github.com/onsi/ginkgo/v2"
    publish(
        ginkgo,
        "2.1.0",
        f"module {ginkgo}\n",
        {"ginkgo/main.go": 'package main\n\nfunc main() { print("2.1.0") }\n'},
    )
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


def test_tests_are_built_apart_with_the_ginkgo_that_they_were_released_with(
    kubernetes: list[ArtifactFile], tmp_path: Path
) -> None:
    of_tests = conformance("1.37.2", "amd64")
    files = [*kubernetes, of_tests.e2e_test, of_tests.ginkgo]
    assert sorted(go_build.build(files, tmp_path)) == ["kubernetes 1.37.2", "kubernetes-test 1.37.2"]
    ran = subprocess.run([tmp_path / of_tests.e2e_test.key], capture_output=True, text=True, check=True)
    assert ran.stdout == "v1.37.2 1 37\nPASS\n"
    ran = subprocess.run([tmp_path / of_tests.ginkgo.key], capture_output=True, text=True, check=True)
    assert ran.stderr == "2.1.0"


def test_a_program_with_c_is_linked_with_its_library(
    publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With that of the Debian package, not with one of this machine, and static."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")

    def unpack(_suite: str, packages: list[str], target: Path) -> None:
        assert packages == ["libseccomp-dev"]
        (target / "usr/include").mkdir(parents=True)
        (target / "usr/include/answer.h").write_text("int answer(void);\n")
        (target / "usr/lib/x").mkdir(parents=True)
        source = tmp_path / "answer.c"
        source.write_text("int answer(void) { return 42; }\n")
        subprocess.run(["gcc", "-c", source, "-o", tmp_path / "answer.o"], check=True)
        subprocess.run(["ar", "rc", target / "usr/lib/x/libanswer.a", tmp_path / "answer.o"], check=True)

    monkeypatch.setattr(go_build, "unpack", unpack)
    main = (
        "package main\n\n// #cgo pkg-config: libanswer\n// #include <answer.h>\n"
        'import "C"\n\nfunc main() { println(C.answer()) }\n'
    )
    publish(
        "github.com/opencontainers/runc",
        "1.2.3",
        "module github.com/opencontainers/runc\n\ngo 1.21\n",
        {"main.go": main},
    )
    assert list(go_build.build([ArtifactFile("runc", "1.2.3", "amd64", "runc")], tmp_path)) == ["runc 1.2.3"]
    program = tmp_path / "runc/1.2.3/amd64/runc"
    assert subprocess.run([program], capture_output=True, text=True, check=True).stderr == "42\n"
    libraries = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    assert "not a dynamic executable" in libraries.stderr


def test_files_of_a_module_are_taken_as_they_are(publish, tmp_path: Path) -> None:
    publish(
        "github.com/aquasecurity/kube-bench",
        "0.15.6",
        "module github.com/aquasecurity/kube-bench\n\ngo 1.21\n",
        {
            "main.go": "package main\n\nfunc main() {}\n",
            **{f"cfg/cis-1.12/{Path(file.key).name}": file.file for file in kube_bench("amd64")},
        },
    )
    top = tmp_path / "artifacts"
    program, *controls = kube_bench("amd64")
    assert list(go_build.build(controls, top)) == ["kube-bench-controls 0.15.6"]
    assert [(top / file.key).read_text() for file in controls] == [file.file for file in controls]
    assert sorted(go_build.build([program, *controls], top)) == [
        "kube-bench 0.15.6",
        "kube-bench-controls 0.15.6",
    ]
    assert (top / program.key).stat().st_mode & 0o111


def test_a_module_that_is_not_served_is_named(publish, tmp_path: Path) -> None:
    (tmp_path / "proxy").mkdir()
    files = [ArtifactFile("coredns", "1.2.3", "amd64", "coredns")]
    with pytest.raises(LabError, match=r"coredns 1\.2\.3 can't be built from Go modules: .*go mod download"):
        list(go_build.build(files, tmp_path / "artifacts"))
    assert not list(tmp_path.glob("artifacts/**/coredns"))


def test_code_that_does_not_compile_leaves_nothing(publish, tmp_path: Path) -> None:
    publish(
        "github.com/coredns/coredns",
        "1.2.3",
        "module github.com/coredns/coredns\n\ngo 1.21\n",
        {"main.go": "package main\n\nfunc main() { missing() }\n"},
    )
    with pytest.raises(LabError, match="go build"):
        list(go_build.build([ArtifactFile("coredns", "1.2.3", "amd64", "coredns")], tmp_path / "artifacts"))
    assert not list(tmp_path.glob("artifacts/**/*coredns*/*"))
    assert not (tmp_path / "artifacts.build").exists()


def test_source_is_fetched_while_another_module_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what is there first is compiled first."""
    compiling, done = threading.Event(), []

    def fetch(self: go_build._Build) -> None:
        if self.name == "coredns 1.2.3":  # the first of the two
            assert compiling.wait(10)

    def compile_(self: go_build._Build) -> None:
        compiling.set()
        done.append(self.name)

    for name, instead in {"fetch": fetch, "compile": compile_, "place": lambda *_: None}.items():
        monkeypatch.setattr(go_build._Build, name, instead)
    files = [ArtifactFile(name, "1.2.3", "amd64", name) for name in ("coredns", "crictl")]
    assert list(go_build.build(files, tmp_path / "artifacts")) == done == ["crictl 1.2.3", "coredns 1.2.3"]


def test_what_a_killed_build_left_is_removed(kubernetes: list[ArtifactFile], tmp_path: Path) -> None:
    left = tmp_path / "artifacts.build/out/kubelet"
    left.parent.mkdir(parents=True)
    left.write_text("half")
    list(go_build.build(kubernetes, tmp_path / "artifacts"))
    assert not left.parent.parent.exists()


@pytest.mark.parametrize("version", versions())
def test_every_program_of_a_release_has_a_source(version: str) -> None:
    for runtime, source in (("docker", "distribution"), ("containerd", "upstream")):
        wanted = release(version, "amd64", runtime, source=source)
        for file in (*wanted.binaries.values(), *wanted.cni_plugins.values(), wanted.crictl):
            assert go_build.can_build(file), file.key
    assert all(map(go_build.can_build, kube_bench("amd64")))
    of_tests = conformance(version, "amd64")
    assert go_build.can_build(of_tests.e2e_test)
    assert go_build.can_build(of_tests.ginkgo)
