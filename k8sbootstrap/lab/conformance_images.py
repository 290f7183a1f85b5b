"""The images that upstream's Conformance tests start, for machines that can't reach their registry.

They hold the same programs of Kubernetes as upstream's, built from Go modules, and of Debian's packages
only what the tests call.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from k8sbootstrap.catalog.models import ArtifactFile, Image
from k8sbootstrap.lab.commands import run
from k8sbootstrap.lab.image_tar import write_image
from k8sbootstrap.lab.mirror import unpack

_SUITE = "trixie"
_PACKAGES = (
    "bash-static",
    "bind9-dnsutils",
    "busybox-static",
    "curl",
    "iproute2",
    "libc-bin",
    "netcat-openbsd",
)
_SHELL = """\
#!/bin/bash
# Some tests look for messages of busybox's shell, others for variables such as data-1. That of Debian does
# not pass these on: then bash is the shell. In images with other programs busybox would run its own instead.
while IFS= read -r -d "" each; do
  [[ ${each%%=*} =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || exec -a "$0" /bin/bash "$@"
done < /proc/self/environ
exec -a "$0" /bin/busybox "$@"
"""
_TEMPORARY = 0o1777
_SETUID = 0o6755


@dataclass(frozen=True)
class _Recipe:
    """What is in an image."""

    config: Mapping[str, object]
    """Its configuration: Entrypoint, Cmd, User."""
    built: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """What Go modules have, by its path in the image: project and file."""
    debian: tuple[str, ...] = ()
    """Programs of Debian's packages, which go to /bin with the libraries that they are linked with."""
    shell: bool = True
    """Whether it has a shell and busybox."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Contents of files by path."""
    links: Mapping[str, str] = field(default_factory=dict)
    modes: Mapping[str, int] = field(default_factory=dict)
    """As those of ``write_image``."""


def _web_server(folder: str) -> _Recipe:
    """An image in place of a web server's: tests start it, and look for nothing but a page."""
    serve = f"trap 'exit 0' TERM QUIT; httpd -f -p 80 -h /{folder} & wait"
    texts = {f"{folder}/index.html": "<html><body><h1>It works!</h1></body></html>\n"}
    return _Recipe({"Cmd": ["sh", "-c", serve]}, texts=texts)


def _page_server(picture: str) -> _Recipe:
    """An image that serves a file with the name of a picture."""
    return _Recipe(
        {"Entrypoint": ["/agnhost"], "Cmd": ["test-webserver"]},
        built={"agnhost": ("conformance-images", "agnhost")},
        shell=False,
        texts={
            "data.json": f'{{\n  "image": "{picture}"\n}}\n',
            "etc/os-release": 'NAME="In place of Alpine Linux"\n',  # the tests look for this name
        },
    )


_OWN_USER = "user-defined-in-image:x:1000:1000::/home/user-defined-in-image:/bin/sh\n"
_OWN_GROUPS = "user-defined-in-image:x:1000:\ngroup-defined-in-image:x:50000:user-defined-in-image\n"
_USERS = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
_GROUPS = "root:x:0:\nnobody:x:65534:\n"
_DNS = _Recipe({"Cmd": ["sh"]}, debian=("dig", "getent"))
_RECIPES: Mapping[str, _Recipe] = {
    "agnhost": _Recipe(
        {"Entrypoint": ["/agnhost"], "Cmd": ["pause"]},
        built={name: ("conformance-images", name) for name in ("agnhost", "localhost.crt", "localhost.key")},
        debian=(*_DNS.debian, "curl", "nc.openbsd", "ss"),
        texts={"etc/passwd": _USERS + _OWN_USER, "etc/group": _GROUPS + _OWN_GROUPS},
        links={"agnhost-2": "agnhost", "bin/nc": "nc.openbsd"},
        modes={"uploads": 0o755},
    ),
    "busybox": _Recipe({"Cmd": ["sh"]}, texts={"bin/sh": _SHELL}),
    "etcd": _Recipe({}, built={"usr/local/bin/etcd": ("etcd", "etcd")}, shell=False),
    "glibc-dns-testing": _DNS,
    "httpd": _web_server("usr/local/apache2/htdocs"),
    "jessie-dnsutils": _DNS,
    "kitten": _page_server("kitten.jpg"),
    "nautilus": _page_server("nautilus.jpg"),
    "nginx": _web_server("usr/share/nginx/html"),
    "nonewprivs": _Recipe(
        {"Cmd": ["nnp"]},
        built={"usr/local/bin/nnp": ("conformance-images", "nonewprivs")},
        modes={"usr/local/bin/nnp": _SETUID},
    ),
    "nonroot": _Recipe({"Cmd": ["sh"], "User": "1234"}),
    "sample-apiserver": _Recipe(
        {"Entrypoint": ["/sample-apiserver"]},
        built={"sample-apiserver": ("sample-apiserver", "sample-apiserver")},
        shell=False,
    ),
}
"""By the image's name."""


def parts(image: Image, version: str) -> list[ArtifactFile]:
    """The files from Go modules that an image is made of.

    Args:
        image: One that Conformance starts.
        version: The Kubernetes release whose tests start it.
    """
    return list(_parts(image.artifact, version).values())


def make(images: Sequence[Image], version: str, top: Path, folders: Sequence[Path]) -> None:
    """Write images, each whole or not at all.

    Args:
        images: Those that Conformance of a release starts.
        version: The release.
        top: The artifact directory to write to.
        folders: Artifact directories, one of which has each of their ``parts``.

    Raises:
        LabError: A package can't be fetched.
    """
    with tempfile.TemporaryDirectory(prefix="k8sbootstrap-unpack-") as name:
        root = Path(name)
        unpack(_SUITE, _PACKAGES, root, dependencies=True)
        for image in images:
            built = {path: file.key for path, file in _parts(image.artifact, version).items()}
            found = {path: _find(key, folders) for path, key in built.items()}
            _write(image, _RECIPES[image.artifact.name], found, root, top)


def _parts(image: ArtifactFile, version: str) -> dict[str, ArtifactFile]:
    """By path in the image."""
    tag = image.version
    versions = {
        "conformance-images": version,
        "etcd": tag.partition("-")[0],
        "sample-apiserver": f"0.{tag.partition('.')[2]}",
    }
    return {
        path: ArtifactFile(project, versions[project], image.arch, file)
        for path, (project, file) in _RECIPES[image.name].built.items()
    }


def _find(key: str, folders: Sequence[Path]) -> Path:
    return next(folder / key for folder in folders if (folder / key).exists())


def _write(image: Image, recipe: _Recipe, built: Mapping[str, Path], root: Path, top: Path) -> None:
    texts = {"etc/passwd": _USERS, "etc/group": _GROUPS, **recipe.texts}
    files = {path: text.encode() for path, text in texts.items()}
    files |= {path: source.read_bytes() for path, source in built.items()}
    files |= {path: source.read_bytes() for path, source in _linked(root, recipe.debian).items()}
    links = dict(recipe.links)
    if recipe.shell:
        files |= {"bin/busybox": (root / "usr/bin/busybox").read_bytes()}
        files |= {"bin/bash": (root / "usr/bin/bash-static").read_bytes()}
        applets = run(str(root / "usr/bin/busybox"), "--list").split()
        links = {**{f"bin/{name}": "busybox" for name in applets}, "bin/sh": "bash", **links}
    # the tests replace an image by another tag of it: these must not be one image with two names
    labels = {"org.opencontainers.image.version": image.artifact.version}
    write_image(
        top / image.artifact.key,
        image.ref,
        files,
        {"Env": ["PATH=/usr/local/bin:/bin"], "Labels": labels, **recipe.config},
        {path: target for path, target in links.items() if path not in files},
        modes={"var/tmp": _TEMPORARY, **recipe.modes},
        compress=True,
    )


def _linked(root: Path, programs: Sequence[str]) -> dict[str, Path]:
    """Programs in an unpacked folder and the libraries that they are linked with, by path in an image."""
    libraries, loader = root / "usr/lib/x86_64-linux-gnu", "lib64/ld-linux-x86-64.so.2"
    found = {}
    for name in programs:
        program = root / "usr/bin" / name
        found[f"bin/{name}"] = program
        for line in run(
            str(root / "usr" / loader), "--library-path", str(libraries), "--list", str(program)
        ).splitlines():
            library = line.split()[0]
            if (libraries / library).exists():
                found[f"lib/x86_64-linux-gnu/{library}"] = libraries / library
    return {loader: root / "usr" / loader, **found} if found else {}
