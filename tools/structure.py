"""Counts the structure of the program: ``python -m tools.structure [CHECKOUT]``.

For maintainers: run it before and after a change of structure, and compare.
"""

import ast
import graphlib
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tools.imports import PROGRAM, ROOT, module_imports, package

_COMMANDS = ("kubeconfig", "validate", "up")
_COUNT_MODULES = (
    "import sys, importlib; importlib.import_module('k8sbootstrap.cli.{}');"
    " print(sum(name.split('.')[0] == 'k8sbootstrap' for name in sys.modules))"
)


def package_imports(imports: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """Each package to the other packages that it imports.

    Args:
        imports: Module to modules, as ``module_imports`` gives it.
    """
    found: dict[str, set[str]] = {}
    for module, names in imports.items():
        found.setdefault(package(module), set()).update(package(name) for name in names)
    return {name: others - {name} for name, others in found.items()}


def in_cycles(graph: Mapping[str, Iterable[str]]) -> set[str]:
    """The nodes of a graph that can be reached from themselves.

    Args:
        graph: Node to the nodes that it leads to.
    """
    return {node for node in graph if node in _reached(graph, node)}


def file_cycle(imports: Mapping[str, Iterable[str]]) -> list[str]:
    """Modules that import each other in a circle, the first one again at the end; empty where none do.

    Args:
        imports: Module to modules.
    """
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as exc:
        cycle: list[str] = exc.args[1]
        return cycle
    return []


def classes_named_twice(root: Path) -> list[str]:
    """Names that more than one class of the program has.

    Args:
        root: The checkout.
    """
    names = Counter(
        node.name
        for path in (root / PROGRAM).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    return sorted(name for name, count in names.items() if count > 1)


def _reached(graph: Mapping[str, Iterable[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += graph.get(node, ())
    return found


def _sizes(root: Path) -> Iterator[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True).stdout
    for name, folders in (
        ("program", (PROGRAM,)),
        ("playbooks", ("playbooks",)),
        ("roles", ("roles",)),
        ("inventory", ("inventory",)),
        ("tools", ("tools",)),
        ("tests", ("tests",)),
    ):
        files = [path for path in listed.splitlines() if path.split("/")[0] in folders]
        plain = [path for path in files if "/golden/" not in path and path.endswith((".py", ".yml", ".j2"))]
        yield f"{name}: {len(plain)} files, {sum(map(_lines, (root / path for path in plain)))} lines"
        golden = [path for path in files if "/golden/" in path]
        if golden:
            yield f"golden files: {len(golden)}, {sum(map(_lines, (root / path for path in golden)))} lines"


def _lines(path: Path) -> int:
    return len(path.read_bytes().splitlines()) if path.is_file() else 0


def _modules_of(root: Path, command: str) -> str:
    code = _COUNT_MODULES.format(command)
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": "."},
    )
    return ran.stdout.strip() or "does not import"


def main(root: Path) -> None:
    """Print all counts of a checkout, one a line."""
    imports = module_imports(root)
    packages = package_imports(imports)
    knot = in_cycles(packages)
    twice = classes_named_twice(root)
    sys.stdout.write(
        "\n".join(
            [
                f"packages and top-level modules: {len(packages)}",
                f"imports between them: {sum(map(len, packages.values()))}",
                f"packages in cycles: {len(knot)} {' '.join(sorted(knot))}".rstrip(),
                f"files in a cycle: {' -> '.join(file_cycle(imports)) or 'none'}",
                f"class names used more than once: {len(twice)} {' '.join(twice)}".rstrip(),
                *(f"modules that {name} imports: {_modules_of(root, name)}" for name in _COMMANDS),
                *_sizes(root),
            ]
        )
        + "\n"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT)
