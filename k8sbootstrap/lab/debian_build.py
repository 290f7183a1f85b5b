"""Kubernetes built from Debian's source package, for places that upstream's releases can't be fetched from.

For the lab and tests only. The source (bookworm, 1.20.5+really1.20.2) holds all its dependencies. One of them
is older than Debian's Go: where programs make JSON with it they write beyond their memory, and API servers
crash now and then. Debian's own package of it takes its place.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from k8sbootstrap.lab.commands import run
from k8sbootstrap.lab.mirror import apt, unpack

SUITE = "bookworm"
SOURCE_VERSION = "1.20.2"
BINARIES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
_NEWER = {"github.com/modern-go/reflect2": "golang-github-modern-go-reflect2-dev"}
"""Import path of what is not taken from the source, to Debian's package with it."""
_RECIPE = " ".join((SOURCE_VERSION, *_NEWER.values()))
"""What builds are made of; those of another one are made anew."""
_RECIPE_FILE = ".recipe"
_COMMIT = "faecb196815e248d3ecfb03c680a4507229c2a56"
"""The commit of upstream's v1.20.2."""


def is_built(folder: Path, binaries: Sequence[str] = BINARIES) -> bool:
    """Whether a folder has binaries of this version of ``build``."""
    recipe = folder / _RECIPE_FILE
    made_so = recipe.exists() and recipe.read_text() == _RECIPE
    return made_so and all((folder / name).exists() for name in binaries)


def build(targets: Mapping[str, Path], binaries: Sequence[str] = BINARIES) -> None:
    """Build binaries; all of them take about 10 minutes on 2 cores, and each further version about one more.

    Args:
        targets: What the binaries say they are, such as 1.20.2, and the folder for those. The source is
            1.20.2 whatever they say: a second version is the same code with another number in it.
        binaries: Which ones.

    Raises:
        LabError: the source can't be had or does not build.
    """
    with tempfile.TemporaryDirectory(prefix="k8sbootstrap-build-", dir="/var/tmp") as name:
        work = Path(name)
        source = work / "go/src/k8s.io/kubernetes"
        source.parent.mkdir(parents=True)
        with apt(SUITE, types="deb-src") as tool:
            # apt checks the files against the signed index; unpacking need not check them again
            tool.get("source", "--download-only", "kubernetes", cwd=work)
        run("dpkg-source", "--no-check", "-x", str(next(work.glob("kubernetes_*.dsc"))), str(source))
        for path, package in _NEWER.items():
            unpack(SUITE, [package], work / "newer")
            shutil.rmtree(source / "vendor" / path)
            shutil.copytree(work / "newer/usr/share/gocode/src" / path, source / "vendor" / path)
        for version, target in targets.items():
            _make(work, source, version, binaries)
            target.mkdir(parents=True, exist_ok=True)
            for binary in binaries:
                partial = target / f".{binary}"
                shutil.copyfile(source / "_output/bin" / binary, partial)
                partial.chmod(0o755)
                partial.replace(target / binary)
            (target / _RECIPE_FILE).write_text(_RECIPE)
        run("chmod", "-R", "u+w", str(work))


def _make(work: Path, source: Path, version: str, binaries: Sequence[str]) -> None:
    """Compile what is not compiled yet, and link it with a version number."""
    major, minor, _ = version.split(".")
    stamp = work / "version"
    stamp.write_text(
        f"KUBE_GIT_COMMIT={_COMMIT}\nKUBE_GIT_TREE_STATE=archive\nKUBE_GIT_VERSION=v{version}\n"
        f"KUBE_GIT_MAJOR={major}\nKUBE_GIT_MINOR={minor}\n"
    )
    what = " ".join(f"cmd/{binary}" for binary in binaries)
    run(
        "make",
        f"WHAT={what}",
        "GOLDFLAGS=-s -w",
        cwd=source,
        CGO_ENABLED="0",
        GO111MODULE="off",
        GOPATH=str(work / "go"),
        GOCACHE=str(work / "cache"),
        GOFLAGS="",
        KUBE_GIT_VERSION_FILE=str(stamp),
        HOME=os.environ.get("HOME", "/root"),
    )
