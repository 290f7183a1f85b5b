"""Builds programs of releases from Go modules, for machines that can't reach upstream's releases.

For the lab and tests only. A module proxy serves the source, and Go's checksum database vouches for it. Each
program is built with exactly the versions of its dependencies that it was released with.
"""

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from k8sbootstrap.catalog.models import ArtifactFile
from k8sbootstrap.errors import LabError
from k8sbootstrap.lab import go_toolchain
from k8sbootstrap.lab.commands import run
from k8sbootstrap.lab.mirror import SUITE, unpack

_STAGING = "./staging/src/"
_ENVIRONMENT = {"GOFLAGS": "", "GOWORK": "off", "GOROOT": "", "GOTOOLCHAIN": go_toolchain.TOOLCHAIN}
SERVED = {"cri-dockerd": "0.3.17"}
"""Version of a project that is built, whatever a release names: module proxies serve few of them. The later
ones of cri-dockerd that they serve need a newer docker than that of Debian 12."""


@dataclass(frozen=True)
class _Program:
    """Where the source of a program is."""

    module: str
    """Path of its module; ``{major}`` stands for the major version."""
    package: str = ""
    """Path of its package in the module; empty for the module's root."""
    versions: tuple[str, ...] = ()
    """Variables that the linker sets to ``vVERSION``, where the source does not have the version itself."""
    tags: tuple[str, ...] = ()
    file: str = ""
    """Path of a file in the module that is taken as it is; empty for programs, which are built."""
    c_library: str = ""
    """Debian package of the C library that it is linked with; empty for programs without C."""


_COMPONENTS = ("apiserver", "controller-manager", "scheduler", "proxy")
_PLUGINS = {"bridge": "main", "loopback": "main", "host-local": "ipam", "portmap": "meta"}
_GIT_VERSION = tuple(
    f"{package}.gitVersion" for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
)
_PLUGIN_VERSION = ("github.com/containernetworking/plugins/pkg/utils/buildversion.BuildVersion",)
_KUBE_BENCH = "github.com/aquasecurity/kube-bench"
_PROGRAMS: Mapping[tuple[str, str], _Program] = {
    **{
        ("kubernetes", name): _Program("k8s.io/kubernetes", f"cmd/{name}", _GIT_VERSION)
        for name in ("kubeadm", "kubelet", "kubectl", *(f"kube-{component}" for component in _COMPONENTS))
    },
    ("etcd", "etcd"): _Program("go.etcd.io/etcd/server/v{major}"),
    ("etcd", "etcdctl"): _Program("go.etcd.io/etcd/etcdctl/v{major}"),
    **{
        ("cni-plugins", name): _Program(
            "github.com/containernetworking/plugins", f"plugins/{kind}/{name}", _PLUGIN_VERSION
        )
        for name, kind in _PLUGINS.items()
    },
    ("crictl", "crictl"): _Program(
        "sigs.k8s.io/cri-tools", "cmd/crictl", ("sigs.k8s.io/cri-tools/pkg/version.Version",)
    ),
    ("coredns", "coredns"): _Program("github.com/coredns/coredns"),
    **{
        ("containerd", name): _Program(
            "github.com/containerd/containerd/v{major}",
            f"cmd/{name}",
            ("github.com/containerd/containerd/v{major}/version.Version",),
            ("urfave_cli_no_docs", "osusergo", "netgo", "static_build"),
        )
        for name in ("containerd", "containerd-shim-runc-v2", "ctr")
    },
    ("runc", "runc"): _Program(
        "github.com/opencontainers/runc",
        tags=("seccomp", "urfave_cli_no_docs", "osusergo", "netgo"),
        c_library="libseccomp-dev",
    ),
    ("cri-dockerd", "cri-dockerd"): _Program(
        "github.com/Mirantis/cri-dockerd", "", ("github.com/Mirantis/cri-dockerd/cmd/version.Version",)
    ),
    ("kube-bench", "kube-bench"): _Program(_KUBE_BENCH, "", (f"{_KUBE_BENCH}/cmd.KubeBenchVersion",)),
    **{
        ("kube-bench-controls", f"{name}.yaml"): _Program(_KUBE_BENCH, file=f"cfg/cis-1.12/{name}.yaml")
        for name in ("controlplane", "etcd", "master", "node", "policies")
    },
}
"""By project and file name, as artifacts have them."""


def can_build(file: ArtifactFile) -> bool:
    """Whether the source of a program is known."""
    return (file.name, file.file) in _PROGRAMS


def needs_c(files: Iterable[ArtifactFile]) -> bool:
    """Whether one of the programs has C code, so that gcc must be there."""
    return any(_PROGRAMS[file.name, file.file].c_library for file in files)


def build(files: Iterable[ArtifactFile], top: Path) -> Iterator[str]:
    """Build programs into an artifact directory. A file is there whole or not at all.

    Args:
        files: Those to build, each one that ``can_build``.
        top: The directory; each file goes to its key.

    Yields:
        What is built next, such as ``etcd 3.7.0``, before it is.

    Raises:
        LabError: A module can't be fetched, or does not build.
    """
    said = ""
    by_module = sorted(set(files), key=lambda file: (_module(file), file.version, file.file))
    for (module, version), group in groupby(by_module, key=lambda file: (_module(file), file.version)):
        wanted = list(group)
        name = f"{min(file.name for file in wanted)} {version}"
        if name != said:  # a project may have a module for each program
            said = name
            yield name
        with _empty(top.with_name(f"{top.name}.build")) as folder:
            try:
                _build(module, version, wanted, folder)
            except LabError as exc:
                raise LabError(
                    f"{name} can't be built from Go modules: {exc}",
                    hint="Run the same command again, or name a directory with the files (--artifacts).",
                ) from exc
            for file in wanted:
                target = top / file.key
                target.parent.mkdir(parents=True, exist_ok=True)
                partial = target.with_name(f".{target.name}")
                shutil.copy(folder / "out" / _built_name(file), partial)
                partial.replace(target)


@contextmanager
def _empty(folder: Path) -> Iterator[Path]:
    """A new folder that is gone afterwards. If this is killed, the next build removes it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _build(module: str, version: str, files: Iterable[ArtifactFile], folder: Path) -> None:
    """Build programs of one module into ``out`` of a folder, and copy files of it there."""
    wanted = [_PROGRAMS[file.name, file.file] for file in files]
    programs = [program for program in wanted if not program.file]
    environment = _ENVIRONMENT | _c_environment(programs, folder / "c")
    program = go_toolchain.ensure()

    def go(*arguments: str) -> str:
        return run(program, *arguments, cwd=folder, **environment)

    downloaded = json.loads(go("mod", "download", "-json", f"{module}@v{version}"))
    released = json.loads(go("mod", "edit", "-json", downloaded["GoMod"]))
    (folder / "out").mkdir()
    for each in wanted:
        if each.file:
            shutil.copyfile(Path(downloaded["Dir"]) / each.file, folder / "out" / Path(each.file).name)
    if not programs:
        return
    (folder / "go.mod").write_text(_go_mod(module, version, released))
    packages = ["/".join(filter(None, (module, program.package))) for program in programs]
    tags = ",".join(sorted({tag for program in programs for tag in program.tags}))
    flags = _flags(version, programs)
    go("build", "-mod=mod", "-trimpath", "-tags", tags, "-ldflags", flags, "-o", f"{folder}/out/", *packages)


def _c_environment(programs: Iterable[_Program], folder: Path) -> dict[str, str]:
    """Environment variables for the C code of programs, and its libraries unpacked in a folder."""
    libraries = sorted({program.c_library for program in programs if program.c_library})
    if not libraries:
        return {"CGO_ENABLED": "0"}
    unpack(SUITE, libraries, folder)
    found = sorted((folder / "usr/lib").glob("*/lib*.a"))
    names = " ".join(f"-l{path.stem.removeprefix('lib')}" for path in found)
    return {
        "CGO_ENABLED": "1",
        "CGO_CFLAGS": f"-I{folder}/usr/include",
        "CGO_LDFLAGS": " ".join([*(f"-L{parent}" for parent in {path.parent for path in found}), names]),
        "PKG_CONFIG": "true",  # it would look among the machine's libraries; the flags above say it all
    }


def _go_mod(module: str, version: str, released: Mapping[str, Any]) -> str:
    """The go.mod of a module that builds another one as it was released.

    Args:
        module: Its path.
        version: Its version, without ``v``.
        released: Its own go.mod, as ``go mod edit -json`` prints it. Go reads ``replace`` lines of the main
            module only, so they are repeated. Those of Kubernetes name folders of modules that are published.
    """
    lines = ["module k8sbootstrap.invalid/build", f"go {released['Go']}"]
    lines += [f"godebug {each['Key']}={each['Value']}" for each in released.get("Godebug") or ()]
    lines.append(f"require {module} v{version}")
    for each in released.get("Replace") or ():
        old, new = each["Old"]["Path"], each["New"]
        if new.get("Version"):
            lines.append(f"replace {old} => {new['Path']} {new['Version']}")
        elif new["Path"].startswith(_STAGING):
            lines.append(f"replace {old} => {old} v0.{version.partition('.')[2]}")
    return "\n".join([*lines, ""])


def _flags(version: str, programs: Iterable[_Program]) -> str:
    """The linker's flags: no symbols, and the version where programs have a place for it."""
    used = list(programs)
    major, minor, _ = version.split(".")
    names = sorted({name.format(major=major) for program in used for name in program.versions})
    values = dict.fromkeys(names, f"v{version}")
    for name in names:
        if name.endswith(".gitVersion"):  # Conformance looks at these
            package = name.removesuffix(".gitVersion")
            values |= {f"{package}.gitMajor": major, f"{package}.gitMinor": minor}
    static = ["-extldflags -static"] if any(program.c_library for program in used) else []
    return " ".join(["-s -w", *static, *(f"-X {name}={value}" for name, value in values.items())])


def _module(file: ArtifactFile) -> str:
    return _PROGRAMS[file.name, file.file].module.format(major=file.version.partition(".")[0])


def _built_name(file: ArtifactFile) -> str:
    """The name that ``go build`` gives a program: the last part of its package's path."""
    program = _PROGRAMS[file.name, file.file]
    path = program.file or program.package or re.sub(r"/v\d+\Z", "", _module(file))
    return path.rpartition("/")[2]
