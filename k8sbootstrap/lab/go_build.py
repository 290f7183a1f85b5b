"""Builds programs of releases from Go modules, for machines that can't reach upstream's releases.

For the lab and tests only. A module proxy serves the source, and Go's checksum database vouches for it. Each
program is built with exactly the versions of its dependencies that it was released with.
"""

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from k8sbootstrap.catalog.models import ArtifactFile
from k8sbootstrap.errors import LabError
from k8sbootstrap.lab import go_toolchain
from k8sbootstrap.lab.commands import run
from k8sbootstrap.lab.go_programs import PROGRAMS, Program
from k8sbootstrap.lab.mirror import SUITE, unpack

_STAGING = "./staging/src/"
_ENVIRONMENT = {"GOFLAGS": "", "GOWORK": "off", "GOROOT": "", "GOTOOLCHAIN": go_toolchain.TOOLCHAIN}
_FETCHED_AT_ONCE = 2


def can_build(file: ArtifactFile) -> bool:
    """Whether the source of a program is known."""
    return (file.name, file.file) in PROGRAMS


def needs_c(files: Iterable[ArtifactFile]) -> bool:
    """Whether one of the programs has C code, so that gcc must be there."""
    return any(PROGRAMS[file.name, file.file].c_library for file in files)


def build(files: Iterable[ArtifactFile], top: Path) -> Iterator[str]:
    """Build programs into an artifact directory. A file is there whole or not at all.

    While one module is compiled, the source of others is fetched, which leaves the cores mostly idle. What is
    there first is compiled first.

    Args:
        files: Those to build, each one that ``can_build``.
        top: The directory; each file goes to its key.

    Yields:
        What is built next, such as ``etcd 3.7.0``, before it is.

    Raises:
        LabError: A module can't be fetched, or does not build.
    """
    said = set()
    with _empty(top.with_name(f"{top.name}.build")) as folder, _threads() as pool:
        fetched = {pool.submit(each.fetch): each for each in _builds(files, go_toolchain.ensure(), folder)}
        for done in as_completed(fetched):
            each = fetched[done]
            if each.name not in said:  # a project may have a module for each program
                said.add(each.name)
                yield each.name
            try:
                done.result()
                each.compile()
            except LabError as exc:
                raise LabError(
                    f"{each.name} can't be built from Go modules: {exc}",
                    hint="Run the same command again, or name a directory with the files (--artifacts).",
                ) from exc
            each.place(top)


@contextmanager
def _empty(folder: Path) -> Iterator[Path]:
    """A new folder that is gone afterwards. If this is killed, the next build removes it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    """Threads that start nothing more when the ``with`` block is left."""
    pool = ThreadPoolExecutor(_FETCHED_AT_ONCE)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Build:
    """Files of one project that one module has."""

    name: str
    """Project and version, for messages."""
    module: str
    version: str
    files: Sequence[ArtifactFile]
    go: str
    """The program."""
    folder: Path
    """Where a module is made that builds the programs; not there yet."""

    def fetch(self) -> None:
        """Fetch all source, and take the files that need not be built.

        Raises:
            LabError: A module or a C library can't be fetched.
        """
        (self.folder / "out").mkdir(parents=True)
        if libraries := self._c_libraries():
            unpack(SUITE, libraries, self.folder / "c")
        downloaded = json.loads(self._go("mod", "download", "-json", f"{self.module}@v{self.version}"))
        for file in self.files:
            if path := PROGRAMS[file.name, file.file].file:
                shutil.copyfile(Path(downloaded["Dir"]) / path, self._out(file))
        released = json.loads(self._go("mod", "edit", "-json", downloaded["GoMod"]))
        (self.folder / "go.mod").write_text(_go_mod(self.module, self.version, released))
        for packages, tests in self._packages():
            self._go("list", *self._options(), "-deps", *(["-test"] if tests else []), *packages)

    def compile(self) -> None:
        """Build the programs.

        Raises:
            LabError: One does not build.
        """
        flags = ["-trimpath", "-ldflags", _flags(self.version, self._programs())]
        for packages, tests in self._packages():
            command = ["test", "-c"] if tests else ["build"]
            self._go(*command, *self._options(), *flags, "-o", f"{self.folder}/out/", *packages)

    def place(self, top: Path) -> None:
        """Copy the files into an artifact directory."""
        for file in self.files:
            target = top / file.key
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.name}")
            shutil.copy(self._out(file), partial)
            partial.replace(target)

    def _out(self, file: ArtifactFile) -> Path:
        """Where a file is before it is placed: Go names a program by the last part of its package's path."""
        program = PROGRAMS[file.name, file.file]
        path = program.file or re.sub(r"/v\d+\Z", "", self._package(program))
        return self.folder / "out" / f"{Path(path).name}{'.test' if program.tests else ''}"

    def _programs(self) -> list[Program]:
        """Those that are built."""
        wanted = [PROGRAMS[file.name, file.file] for file in self.files]
        return [program for program in wanted if not program.file]

    def _packages(self) -> Iterator[tuple[list[str], bool]]:
        """Packages that one command builds, and whether it is their tests that it builds."""
        programs = self._programs()
        for tests in (False, True):
            if packages := [self._package(program) for program in programs if program.tests == tests]:
                yield packages, tests

    def _package(self, program: Program) -> str:
        return program.dependency or "/".join(filter(None, (self.module, program.package)))

    def _options(self) -> list[str]:
        """Those on which it depends what source is needed."""
        return [
            "-mod=mod",
            "-tags",
            ",".join(sorted({tag for each in self._programs() for tag in each.tags})),
        ]

    def _c_libraries(self) -> list[str]:
        return sorted({program.c_library for program in self._programs() if program.c_library})

    def _go(self, *arguments: str) -> str:
        environment = _ENVIRONMENT | _c_environment(self.folder / "c")
        return run(self.go, *arguments, cwd=self.folder, **environment)


def _builds(files: Iterable[ArtifactFile], go: str, folder: Path) -> list[_Build]:
    """What is built together, in the order in which its source is fetched."""
    distinct = {file.key: file for file in files}
    in_order = sorted(distinct.values(), key=lambda file: (*_group(file), file.file))
    return [
        _Build(f"{project} {version}", module, version, list(group), go, folder / str(number))
        for number, ((project, version, module), group) in enumerate(groupby(in_order, key=_group))
    ]


def _group(file: ArtifactFile) -> tuple[str, str, str]:
    """Project, version and module."""
    module = PROGRAMS[file.name, file.file].module
    return file.name, file.version, module.format(major=file.version.partition(".")[0])


def _c_environment(folder: Path) -> dict[str, str]:
    """Environment variables for C code and its libraries, which are in a folder, if there are any."""
    if not folder.exists():
        return {"CGO_ENABLED": "0"}
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


def _flags(version: str, programs: Iterable[Program]) -> str:
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
