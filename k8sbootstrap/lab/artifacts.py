"""The lab's own artifact directory: images, and programs where upstream's releases can't be reached.

Laid out as every artifact source, with a SHA256SUMS that records each file's hash when it was made.
"""

import fcntl
import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import urllib3

from k8sbootstrap import private_files
from k8sbootstrap.artifacts.cache import cache_dir
from k8sbootstrap.catalog.models import ArtifactFile, Image
from k8sbootstrap.catalog.resolve import conformance, kube_bench, release
from k8sbootstrap.lab import conformance_images, go_build, go_programs
from k8sbootstrap.lab.commands import run
from k8sbootstrap.lab.image_tar import write_image
from k8sbootstrap.lab.mirror import SUITE, unpack

_ARCH = "amd64"
_SECONDS_TO_ANSWER = 3.0
_OK = 200
_REGISTRY = "https://registry.k8s.io/v2/"
_KEYS = {"cri-dockerd": "criDockerd"}
"""Key of a project under ``releases`` in cluster.yaml."""
_MINUTES = {"kubernetes": "10 to 15", "kubernetes-test": "about 5"}
"""How long projects take to be built that take long."""
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Needed:
    """What a lab's hosts are to be installed with."""

    versions: tuple[str, ...]
    """Kubernetes releases."""
    runtime: str
    """docker or containerd."""
    source: str = "distribution"
    """distribution or upstream: where the runtime comes from."""
    kube_bench: bool = False
    """Whether kube-bench is wanted too."""
    conformance: bool = False
    """Whether upstream's end-to-end tests are wanted too, and the images that those of Conformance start."""


def directory() -> Path:
    """The lab's artifact directory, in the cache of this user."""
    return cache_dir() / "lab" / "artifacts"


@cache
def _upstream_answers(url: str) -> bool:
    try:
        answer = urllib3.PoolManager().request("HEAD", url, timeout=_SECONDS_TO_ANSWER, retries=2)
    except urllib3.exceptions.HTTPError:
        return False
    return answer.status == _OK


def has_dns(version: str, sources: Sequence[Path]) -> bool:
    """Whether hosts can have the image of the cluster's DNS: from a source or the registry."""
    key = release(version, _ARCH, "docker").coredns.artifact.key
    return any((folder / key).exists() for folder in sources) or _upstream_answers(_REGISTRY)


def fill(needed: Needed, progress: Progress, others: Sequence[Path] = ()) -> Path:
    """Make what is missing, and record its hashes.

    That is the images that nodes and tests need and, where upstream can't be reached, all programs. They are
    built from Go modules.

    Args:
        needed: What hosts are to be installed with.
        progress: Told in a few words what takes long.
        others: Other artifact directories: what they have is not built. Of their coredns, at
            ``coredns/VERSION/amd64/coredns``, an image is made.

    Returns:
        The directory.

    Raises:
        LabError: A package or a module can't be fetched, or does not build.
    """
    top = directory()
    top.mkdir(parents=True, exist_ok=True)
    with _locked(top, progress):
        if missing := to_build(needed, others):
            _build(missing, top, progress)
        for version in needed.versions:
            _images(top, version)
            _dns_image(top, version, (*others, top))
        _conformance_images(top, needed, (*others, top), progress)
        _record_hashes(top)
    return top


def _build(missing: Iterable[ArtifactFile], top: Path, progress: Progress) -> None:
    progress("fetching Go modules")
    for name in go_build.build(missing, top):
        minutes = _MINUTES.get(name.partition(" ")[0])
        duration = f", {minutes} minutes on 2 cores" if minutes else ""
        progress(f"building {name} from Go modules (once{duration})")


def to_build(needed: Needed, others: Sequence[Path] = ()) -> list[ArtifactFile]:
    """Programs to build: those that are in no directory, where upstream can't be reached."""
    folders = (*others, directory())
    missing: list[ArtifactFile] = []
    if needed.kube_bench:
        program, *controls = kube_bench(_ARCH)
        missing += _lacking([program, *controls], folders, str(program.url))
    for version in needed.versions if needed.conformance else ():
        tests = conformance(version, _ARCH)
        missing += _lacking([tests.e2e_test, tests.ginkgo], folders, str(tests.e2e_test.url))
        images = _lacking_images(version, folders)
        missing += [
            file
            for image in images
            for file in conformance_images.parts(image, version)
            if not _is_in(folders, file)
        ]
    for version in needed.versions:
        resolved = release(version, _ARCH, needed.runtime, source=needed.source)
        image = resolved.coredns.artifact
        wanted = [*resolved.binaries.values(), *resolved.cni_plugins.values(), resolved.crictl]
        if not _is_in(folders, image):
            wanted.append(ArtifactFile(image.name, image.version, image.arch, "coredns"))
        missing += _lacking(wanted, folders, str(resolved.binaries["kubelet"].url))
    return missing


def _lacking(wanted: Iterable[ArtifactFile], folders: Sequence[Path], url: str) -> list[ArtifactFile]:
    """The files that must be built: no directory has them, and upstream does not answer at one's address."""
    lacking = [_served(file) for file in wanted if not _is_in(folders, file)]
    lacking = [file for file in lacking if go_build.can_build(file) and not _is_in(folders, file)]
    return lacking if lacking and not _upstream_answers(url) else []


def _lacking_images(version: str, folders: Sequence[Path]) -> list[Image]:
    """Images of Conformance that must be made: no directory has them, and the registry does not answer."""
    pause = release(version, _ARCH, "docker").pause  # always made
    images = [image for image in conformance(version, _ARCH).images if image != pause]
    lacking = [image for image in images if not _is_in(folders, image.artifact)]
    return lacking if lacking and not _upstream_answers(_REGISTRY) else []


def own_versions(needed: Needed, folders: Sequence[Path]) -> dict[str, dict[str, str]]:
    """``releases`` of cluster.yaml: versions that were built, where directories lack the catalogue's."""
    own = {}
    for version in needed.versions:
        files = release(version, _ARCH, needed.runtime, source=needed.source).binaries.values()
        lacking = [file for file in files if not _is_in(folders, file)]
        others = [_served(file) for file in lacking if _is_in(folders, _served(file))]
        if others:
            own[version] = {_KEYS[file.name]: file.version for file in others}
    return own


def _served(file: ArtifactFile) -> ArtifactFile:
    """The same file in the version of it that can be built."""
    return replace(file, version=go_programs.SERVED.get(file.name, file.version))


def _is_in(folders: Sequence[Path], file: ArtifactFile) -> bool:
    return any((folder / file.key).exists() for folder in folders)


def _images(top: Path, version: str) -> None:
    resolved = release(version, _ARCH, "docker")
    pause, test = top / resolved.pause.artifact.key, top / resolved.test_image.artifact.key
    if pause.exists() and test.exists():
        return
    # one that is there stays: its hash is recorded, and Debian's package may be another by now
    with tempfile.TemporaryDirectory(prefix="k8sbootstrap-unpack-") as name:
        root = Path(name)
        unpack(SUITE, ["catatonit", "busybox-static"], root)
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
    image = release(version, _ARCH, "docker").coredns
    program = Path(image.artifact.key).with_name("coredns")
    found = next((folder / program for folder in folders if (folder / program).exists()), None)
    if found and not any((folder / image.artifact.key).exists() for folder in folders):
        config = {"Entrypoint": ["/coredns"]}
        write_image(top / image.artifact.key, image.ref, {"coredns": found.read_bytes()}, config)


def _conformance_images(top: Path, needed: Needed, folders: Sequence[Path], progress: Progress) -> None:
    """Make the images that Conformance starts, where no directory and no registry has them."""
    for version in needed.versions if needed.conformance else ():
        if lacking := _lacking_images(version, folders):
            progress(f"making images for the tests of Kubernetes {version} (once, less than a minute)")
            conformance_images.make(lacking, version, top, folders)


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
def _locked(top: Path, progress: Progress) -> Iterator[None]:
    with (top.parent / "artifacts.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another lab up, which makes files too")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
