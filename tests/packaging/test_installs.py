"""Every way of installing gives a command that works from anywhere: wheel, sdist → wheel, editable."""

import hashlib
import json
import os
import shlex
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from k8sbootstrap import __version__
from k8sbootstrap.catalog.resolve import default_version, release
from tests.cluster_yaml import cluster_yaml

ROOT = Path(__file__).resolve().parents[2]
DATA = ("playbooks", "roles", "inventory")
KINDS = ("wheel", "sdist", "editable")


@dataclass(frozen=True)
class Installed:
    """A fresh virtual environment with the package in it, and a folder that has nothing to do with it."""

    kind: str
    bin: Path
    site: Path
    elsewhere: Path

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment from elsewhere."""
        environment = {
            "HOME": str(self.elsewhere),
            "K8SBOOTSTRAP_CACHE": str(self.elsewhere / "cache"),
            "LC_ALL": "C.UTF-8",
            "PATH": f"{self.bin}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        words = [str(self.bin / command[0]), *map(str, command[1:])]
        return subprocess.run(
            words, cwd=self.elsewhere, env=environment, capture_output=True, text=True, check=False
        )


def python(*words: str | Path, cwd: Path = ROOT) -> None:
    """Run this interpreter; its packages (build, hatchling, pip) are the tools."""
    done = subprocess.run(
        [sys.executable, *map(str, words)], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


def build(kind: str, source: Path, output: Path) -> Path:
    """Build the wheel or sdist of a source tree."""
    python("-m", "build", f"--{kind}", "--no-isolation", "--outdir", output, source)
    (made,) = output.iterdir()
    return made


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def wheel_from_sdist(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    return build("wheel", source, tmp_path_factory.mktemp("wheel-from-sdist"))


@pytest.fixture(scope="session", params=KINDS)
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The package installed one way, with the dependencies of the environment that runs the tests."""
    folder = tmp_path_factory.mktemp(f"installed-{request.param}")
    venv.create(folder, with_pip=False, symlinks=True)
    site = Path(sysconfig.get_path("purelib", scheme="venv", vars={"base": str(folder)}))
    # a path in a .pth file is searched, but .pth files in it are not read: this repository's own editable
    # install stays out of sight
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    what = {
        "wheel": lambda: [request.getfixturevalue("wheel")],
        "sdist": lambda: [request.getfixturevalue("wheel_from_sdist")],
        "editable": lambda: ["--no-build-isolation", "--editable", ROOT],
    }[request.param]()
    pip = (
        "-m",
        "pip",
        "--python",
        folder / "bin/python",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    )
    python(*pip, "--no-deps", "--no-index", "--ignore-installed", *what)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    return Installed(request.param, folder / "bin", site, elsewhere)


@pytest.fixture
def cluster_file(tmp_path: Path) -> Path:
    """A cluster whose files to install are tiny, in a folder with SHA256SUMS."""
    version = default_version()
    wanted = release(version, "amd64", "docker")
    sums = []
    for artifact in [*wanted.binaries.values(), *wanted.cni_plugins.values()]:
        path = tmp_path / "files" / artifact.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(artifact.key)
        sums.append(f"{hashlib.sha256(artifact.key.encode()).hexdigest()}  {artifact.key}\n")
    (tmp_path / "files/SHA256SUMS").write_text("".join(sums))
    own = hashlib.sha256("".join(sums).encode()).hexdigest()
    file = tmp_path / "cluster.yaml"
    artifacts = f"{{sources: [{{directory: files, ownBuilds: {own}}}], upstream: false}}"
    file.write_text(cluster_yaml("master1", "worker1", version=version, artifacts=artifacts))
    return file


def test_the_package_is_the_installed_one(installed: Installed) -> None:
    done = installed.run("python", "-c", "import k8sbootstrap; print(k8sbootstrap.__file__)")
    assert done.returncode == 0, done.stderr
    home = ROOT if installed.kind == "editable" else installed.site
    assert Path(done.stdout.strip()) == home / "k8sbootstrap/__init__.py"


def test_version(installed: Installed) -> None:
    done = installed.run("k8sbootstrap", "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert __version__ in done.stdout


def test_schema(installed: Installed) -> None:
    done = installed.run("k8sbootstrap", "schema")
    assert done.returncode == 0, done.stderr
    assert "kubernetes" in json.loads(done.stdout)["properties"]


def test_render_and_the_playbooks_it_names(installed: Installed, cluster_file: Path, tmp_path: Path) -> None:
    inventory = tmp_path / "inventory"
    done = installed.run("k8sbootstrap", "-f", cluster_file, "render", "--output", inventory)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in (inventory / "host_vars").iterdir()} == {"master1.yml", "worker1.yml"}
    assert list(installed.elsewhere.iterdir()) == [installed.elsewhere / "cache"]

    words = shlex.split(done.stdout.strip())
    settings = [word for word in words if word.startswith("ANSIBLE_")]
    playbook = Path(words[-1])
    home = ROOT if installed.kind == "editable" else installed.site / "k8sbootstrap/_data"
    assert playbook == home / "playbooks/site.yml"

    # from elsewhere, with the settings that the printed command has
    ansible = Path(sys.executable).with_name("ansible-playbook")
    check = subprocess.run(
        ["env", *settings, ansible, "--syntax-check", "-i", inventory, playbook],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stdout + check.stderr


def test_report_finds_its_template(installed: Installed, cluster_file: Path, tmp_path: Path) -> None:
    run = tmp_path / ".k8sbootstrap/demo/runs/20261124T080000Z-0000aa"
    run.mkdir(parents=True)
    done = installed.run("k8sbootstrap", "-f", cluster_file, "report", "--output", "-")
    assert (done.returncode, done.stderr) == (0, "")
    assert run.name in done.stdout
    assert "Content-Security-Policy" in done.stdout


def tracked(*folders: str) -> set[str]:
    """Files of the repository, as git knows them."""
    listed = subprocess.run(
        ["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip(f"not a git checkout: {listed.stderr.strip()}")
    return {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}


@pytest.mark.parametrize("built", ["wheel", "wheel_from_sdist"])
def test_wheels_carry_the_data_and_nothing_made_by_running(
    request: pytest.FixtureRequest, built: str
) -> None:
    with zipfile.ZipFile(request.getfixturevalue(built)) as archive:
        names = set(archive.namelist())
    data = {f"k8sbootstrap/_data/{name}" for name in tracked(*DATA)}
    assert data - names == set()
    assert tracked("k8sbootstrap") - names == set()
    assert [name for name in names if "__pycache__" in name or name.endswith(".pyc")] == []
    assert [name for name in names if not name.startswith(("k8sbootstrap/", "k8sbootstrap-"))] == []


def test_the_sdist_can_be_tested_and_licensed(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml", "hatch_build.py", "ansible.cfg"} <= names
    assert tracked(*DATA, "tests/roles", "tests/packaging") - names == set()
    assert [name for name in names if name.startswith((".venv", ".ci", ".k8sbootstrap", ".demo"))] == []
