"""The lab's own artifact directory: what Debian's packages make, where nothing else can be reached.

Laid out as every artifact source, with a SHA256SUMS that records each file's hash when it was made.
"""

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import urllib3

from k8sbootstrap import private_files
from k8sbootstrap.artifacts.cache import cache_dir
from k8sbootstrap.catalog.data import minor_of
from k8sbootstrap.catalog.models import ArtifactFile, Overrides, Release
from k8sbootstrap.catalog.resolve import release
from k8sbootstrap.lab import debian_build, go_build
from k8sbootstrap.lab.commands import run
from k8sbootstrap.lab.image_tar import write_image
from k8sbootstrap.lab.mirror import unpack

BUILT_VERSION = debian_build.SOURCE_VERSION
_ARCH = "amd64"
_SECONDS_TO_ANSWER = 3.0
_OK = 200
_REGISTRY = "https://registry.k8s.io/v2/"
Progress = Callable[[str], None]


def directory() -> Path:
    """The lab's artifact directory, in the cache of this user."""
    return cache_dir() / "lab" / "artifacts"


def binaries_are_built(version: str = BUILT_VERSION) -> bool:
    """Whether Kubernetes has been built here already."""
    return debian_build.is_built(directory() / "kubernetes" / version / _ARCH)


def must_be_built(version: str) -> bool:
    """Whether Kubernetes has to be built here: it can be, it has not been, and upstream can't be reached."""
    if minor_of(version) != minor_of(BUILT_VERSION) or binaries_are_built(version):
        return False
    return not _upstream_answers(str(_release(version).binaries["kubelet"].url))


@cache
def _upstream_answers(url: str) -> bool:
    try:
        answer = urllib3.PoolManager().request("HEAD", url, timeout=_SECONDS_TO_ANSWER, retries=2)
    except urllib3.exceptions.HTTPError:
        return False
    return answer.status == _OK


def has_dns(version: str, sources: Sequence[Path]) -> bool:
    """Whether hosts can have the image of the cluster's DNS: from a source or the registry."""
    key = _release(version).coredns.artifact.key
    return any((folder / key).exists() for folder in sources) or _upstream_answers(_REGISTRY)


def fill(
    versions: Sequence[str], progress: Progress, others: Sequence[Path] = (), runtime: str = "docker"
) -> Path:
    """Make what is missing for Kubernetes versions, and record its hashes.

    That is the images that nodes and tests need and, where upstream can't be reached, all programs. Those of
    1.20 come from Debian's packages; a later 1.20 is the code of 1.20.2 with that number in it. Those of
    later minors are built from Go modules, if this machine has Go.

    Args:
        versions: Kubernetes releases.
        progress: Told in a few words what takes long.
        others: Other artifact directories: what they have is not built. Of their coredns, at
            ``coredns/VERSION/amd64/coredns``, an image is made.
        runtime: docker or containerd.

    Returns:
        The directory.

    Raises:
        LabError: a package or the source can't be had, or does not build.
    """
    top = directory()
    top.mkdir(parents=True, exist_ok=True)
    with _locked(top):
        targets = {
            version: top / "kubernetes" / version / _ARCH for version in versions if must_be_built(version)
        }
        if targets:
            names = " and ".join(targets)
            progress(f"building Kubernetes {names} from Debian's source (about 10 minutes, once)")
            # what is there was made in another way: its hashes must not outlive it, whenever this is killed
            for target in targets.values():
                shutil.rmtree(target, ignore_errors=True)
            _record_hashes(top)
            debian_build.build(targets)
        for name in go_build.build(_to_build(versions, (*others, top), runtime), top):
            minutes = ", about 10 minutes on 2 cores" if name.startswith("kubernetes") else ""
            progress(f"building {name} from Go modules (once{minutes})")
        for version in versions:
            _images(top, version)
            _dns_image(top, version, (*others, top))
            if minor_of(version) == minor_of(BUILT_VERSION):
                _from_packages(top, version)
        _record_hashes(top)
    return top


def _release(version: str, runtime: str = "docker") -> Release:
    """A release, of the catalogue or a patch release of a minor that it has."""
    return release(version, _ARCH, runtime, {version: Overrides()})


def _to_build(versions: Sequence[str], folders: Sequence[Path], runtime: str) -> list[ArtifactFile]:
    """Programs to build from Go modules: those that are in no folder, where upstream can't be reached."""
    missing: list[ArtifactFile] = []
    for version in versions:
        if minor_of(version) == minor_of(BUILT_VERSION):
            continue
        resolved = _release(version, runtime)
        wanted = [*resolved.binaries.values(), *resolved.cni_plugins.values(), resolved.crictl]
        image = resolved.coredns.artifact
        if not _is_in(folders, image):
            wanted.append(ArtifactFile(image.name, image.version, image.arch, "coredns"))
        lacking = [file for file in wanted if go_build.can_build(file) and not _is_in(folders, file)]
        if lacking and not _upstream_answers(str(resolved.binaries["kubelet"].url)):
            missing += lacking
    return missing if go_build.is_available() else []


def _is_in(folders: Sequence[Path], file: ArtifactFile) -> bool:
    return any((folder / file.key).exists() for folder in folders)


def _from_packages(top: Path, version: str) -> None:
    """Take etcd and the CNI plugins, whose releases in the catalogue are those that Debian has."""
    resolved = _release(version)
    wanted = {resolved.binaries[name].key: f"usr/bin/{name}" for name in ("etcd", "etcdctl")}
    wanted |= {file.key: f"usr/lib/cni/{name}" for name, file in resolved.cni_plugins.items()}
    if all((top / key).exists() for key in wanted):
        return
    with tempfile.TemporaryDirectory(prefix="k8sbootstrap-unpack-") as name:
        packages = ["etcd-server", "etcd-client", "containernetworking-plugins"]
        unpack(debian_build.SUITE, packages, Path(name))
        for key, path in wanted.items():
            (top / key).parent.mkdir(parents=True, exist_ok=True)
            partial = (top / key).with_name(f".{(top / key).name}")
            shutil.copy(Path(name) / path, partial)
            partial.replace(top / key)


def _images(top: Path, version: str) -> None:
    resolved = _release(version)
    pause, test = top / resolved.pause.artifact.key, top / resolved.test_image.artifact.key
    if pause.exists() and test.exists():
        return
    # one that is there stays: its hash is recorded, and Debian's package may be another by now
    with tempfile.TemporaryDirectory(prefix="k8sbootstrap-unpack-") as name:
        root = Path(name)
        unpack(debian_build.SUITE, ["catatonit", "busybox-static"], root)
        init = (root / "usr/bin/catatonit").read_bytes()
        if not pause.exists():
            write_image(pause, resolved.pause.ref, {"pause": init}, {"Entrypoint": ["/pause", "-P"]})
        box = root / "bin/busybox"
        applets = [applet for applet in run(str(box), "--list").split() if applet != "busybox"]
        config = {"Cmd": ["sh"], "Env": ["PATH=/bin"]}
        links = {f"bin/{applet}": "busybox" for applet in applets}
        if not test.exists():
            write_image(test, resolved.test_image.ref, {"bin/busybox": box.read_bytes()}, config, links)


def _dns_image(top: Path, version: str, folders: Sequence[Path]) -> None:
    """Make an image of a coredns that some directory has, where none has the image."""
    image = _release(version).coredns
    program = Path(image.artifact.key).with_name("coredns")
    found = next((folder / program for folder in folders if (folder / program).exists()), None)
    if found and not any((folder / image.artifact.key).exists() for folder in folders):
        config = {"Entrypoint": ["/coredns"]}
        write_image(top / image.artifact.key, image.ref, {"coredns": found.read_bytes()}, config)


def _record_hashes(top: Path) -> None:
    """Add files that SHA256SUMS does not list yet; others keep the hash that they had when they were made."""
    sums = top / "SHA256SUMS"
    known = {}
    if sums.exists():
        known = {
            line.split(maxsplit=1)[1]: line.split()[0]
            for line in sums.read_text().splitlines()
            if line.strip()
        }
    files = {
        str(path.relative_to(top)): path
        for path in sorted(top.glob("*/*/*/*"))
        if not path.name.startswith(".")
    }
    lines = {name: known.get(name) or _sha256(path) for name, path in files.items()}
    if lines != known:
        text = "".join(f"{digest}  {name}\n" for name, digest in sorted(lines.items()))
        private_files.replace(sums, text.encode(), private_files.PUBLIC)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _locked(top: Path) -> Iterator[None]:
    with (top.parent / "artifacts.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
