"""Which files of this program decide what a role does on a host.

Those are the role's own, the actions and modules that its tasks call, what these are made from, and the
filters that its files use. What other roles alone use is none of them.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from k8sbootstrap.host_code import needed_by, parse
from k8sbootstrap.resources import data_dir, host_code_dir

_SUFFIXES = (".py", ".yml", ".j2")
_SENT = re.compile(r"module_utils/k8sbootstrap/([\w/]+\.py)")
"""How a role names a file of the package on hosts that it sends as a program of its own."""
_BLOCKS = ("block", "rescue", "always")


@cache
def files_of(role: str) -> tuple[Path, ...]:
    """The files of one role, sorted.

    Args:
        role: Name of a folder in ``roles/``.

    Raises:
        FileNotFoundError: There is no such role.
        yaml.YAMLError: A file of its tasks is not YAML.
        SyntaxError: A file that it needs is not Python.
    """
    folder = data_dir() / "roles" / role
    own = [path for path in folder.rglob("*") if path.suffix in _SUFFIXES and path.is_file()]
    if not own:
        raise FileNotFoundError(folder)
    sent = {
        host_code_dir() / name for path in own for name in _SENT.findall(path.read_text(encoding="utf-8"))
    }
    called = {path for action in _actions(folder) for path in _behind(action)}
    return tuple(sorted({*own, *sent, *called, *_filters(own)}))


def _actions(folder: Path) -> set[str]:
    """Names that tasks of a role have: actions and modules, and keywords such as ``when``."""
    files = [path for part in ("tasks", "handlers") for path in folder.glob(f"{part}/*.yml")]
    return {key for path in files for key in _keys(yaml.safe_load(path.read_text(encoding="utf-8")))}


def _keys(tasks: Any) -> Iterator[str]:
    for task in tasks or ():
        yield from task
        for block in _BLOCKS:
            yield from _keys(task.get(block))


def _behind(action: str) -> Iterator[Path]:
    """The files that run where a task calls an action; none where it is not one of this program."""
    plugin, module = _plugin(action), data_dir() / "playbooks" / "library" / f"{action}.py"
    if plugin.is_file():
        yield from _of_plugin(plugin)
    if module.is_file():
        yield module
        yield from needed_by(module).values()


def _plugin(name: str) -> Path:
    return data_dir() / "playbooks" / "action_plugins" / f"{name}.py"


def _of_plugin(plugin: Path) -> Iterator[Path]:
    """A plugin, those that it loads by name, and modules of the package on hosts that it loads by file."""
    yield plugin
    for node in ast.walk(parse(plugin)):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name("action_loader"), attr="get"),
                args=[ast.Constant(str(name)), *_],
            ):
                yield from _of_plugin(_plugin(name))
            case ast.Constant(str(name)) if name.endswith(".py") and "/" not in name:
                for path in host_code_dir().rglob(name):
                    yield path
                    yield from needed_by(path).values()


def _filters(files: list[Path]) -> Iterator[Path]:
    """The files with filters of this program that any of a role's files uses."""
    texts = [path.read_text(encoding="utf-8") for path in files]
    for plugin in (data_dir() / "playbooks" / "filter_plugins").glob("*.py"):
        names = "|".join(map(re.escape, _functions(plugin)))
        used = re.compile(rf"(?:\|\s*|map\(['\"])(?:{names})\b")
        if any(used.search(text) for text in texts):
            yield plugin


def _functions(plugin: Path) -> list[str]:
    """Functions of a file; filters have the names of theirs."""
    tree = parse(plugin)
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
