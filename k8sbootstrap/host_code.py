"""What a file needs on hosts of the package there: the modules that it imports, and what those import.

That package is ``playbooks/module_utils/k8sbootstrap``; on hosts it is ``ansible.module_utils.k8sbootstrap``.
"""

import ast
import base64
import json
import zlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from threading import Lock

from k8sbootstrap.resources import host_code_dir

PACKAGE = "ansible.module_utils.k8sbootstrap"
_PARSER = Lock()
_LOADER = """\
import base64, json, sys, types, zlib
for name in ("ansible", "ansible.module_utils"):
    sys.modules[name] = types.ModuleType(name)
for name, source in json.loads(zlib.decompress(base64.b64decode({packed!r}))):
    module = sys.modules[name] = types.ModuleType(name)
    module.__path__ = []
    exec(compile(source, name, "exec"), module.__dict__)
"""


@cache
def program(main: Path) -> bytes:
    """A file as a program for hosts: what it imports of the package is part of it.

    Args:
        main: A Python file. It runs as a module of another name than ``__main__``.

    Raises:
        FileNotFoundError: ``main`` is missing.
        SyntaxError: One of the files is not Python.
    """
    files = {**needed_by(main), "host_program": main}
    sources = [(name, path.read_text(encoding="utf-8")) for name, path in files.items()]
    packed = base64.b64encode(zlib.compress(json.dumps(sources).encode()))
    return _LOADER.format(packed=packed).encode()


@cache
def needed_by(source: Path) -> Mapping[str, Path]:
    """The modules of the package that a file imports, directly or through others.

    Args:
        source: A Python file, of the package or not.

    Returns:
        Full name to file, packages among them (their ``__init__.py``), each after those that it imports.

    Raises:
        FileNotFoundError: ``source`` is missing.
        SyntaxError: One of the files is not Python.
    """
    found: dict[str, Path] = {}
    for name, path in _imports(source):
        if name not in found:
            found |= {**needed_by(path), **found, name: path}
    return found


def parse(source: Path) -> ast.Module:
    """Parse a Python file.

    Only one thread does so at a time: Python 3.11 counts the depth of all threads in one number, and fails
    with a SystemError where that is wrong at the end.

    Raises:
        FileNotFoundError: ``source`` is missing.
        SyntaxError: It is not Python.
    """
    text = source.read_text(encoding="utf-8")
    with _PARSER:
        return ast.parse(text)


def _imports(source: Path) -> Iterator[tuple[str, Path]]:
    for node in ast.walk(parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            yield from _modules(name)


def _modules(name: str) -> Iterator[tuple[str, Path]]:
    """The module of that name and the packages that it is in; nothing where it is none of the package's."""
    if not f"{name}.".startswith(f"{PACKAGE}."):
        return
    parts = name.removeprefix(PACKAGE).split(".")[1:]
    for length in range(len(parts) + 1):
        stem = host_code_dir().joinpath(*parts[:length])
        path = stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")
        if path.is_file():
            yield ".".join([PACKAGE, *parts[:length]]), path
