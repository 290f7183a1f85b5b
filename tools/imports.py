"""Which module of the program imports which, read from the source."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

PROGRAM = "k8sbootstrap"
ROOT = Path(__file__).resolve().parent.parent


def module_imports(root: Path = ROOT) -> dict[str, set[str]]:
    """Each module of the program to the modules of the program that it imports.

    Args:
        root: The checkout.

    Returns:
        Dotted names, such as ``k8sbootstrap.plan.build``; a package stands for its ``__init__.py``.
        Imports inside functions count too.
    """
    files = {_dotted(path, root): path for path in sorted((root / PROGRAM).rglob("*.py"))}
    return {
        module: {name for name in _imported(path, files) if name != module} for module, path in files.items()
    }


def package(module: str) -> str:
    """The part of the program that a module belongs to: ``plan`` for ``k8sbootstrap.plan.build``."""
    return module.split(".")[1] if "." in module else module


def _dotted(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(path: Path, files: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in files)
        elif isinstance(node, ast.ImportFrom) and node.module in files:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from names & files.keys() or {str(node.module)}
