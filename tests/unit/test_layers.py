"""Each package imports only what stands below it."""

from tools.imports import module_imports, package
from tools.structure import file_cycle, in_cycles, package_imports

LAYERS = (
    "__main__",
    "cli",
    "lab",
    "actions",
    "report",
    "run",
    "checks",
    "survey",
    "inventory",
    "artifacts",
    "addons",
    "pki",
    "hosts",
    "plan",
    "config",
    "catalog",
    "formats",
    "state",
    "private_files",
    "host_code",
    "resources",
    "errors",
    "k8sbootstrap",
)
"""From the top down; ``k8sbootstrap`` is the version in ``k8sbootstrap/__init__.py``."""


def test_every_package_has_its_layer():
    assert {package(module) for module in module_imports()} == set(LAYERS)


def test_imports_go_down():
    wrong = [
        f"{module} imports {name}"
        for module, names in module_imports().items()
        for name in sorted(names)
        if LAYERS.index(package(name)) < LAYERS.index(package(module))
    ]
    assert not wrong, "\n".join(wrong)


def test_only_commands_know_the_lab():
    knowing = {module for module, names in module_imports().items() if "lab" in map(package, names)}
    assert {package(module) for module in knowing} <= {"cli", "lab"}


def test_no_files_import_each_other_in_a_circle():
    assert file_cycle(module_imports()) == []


def test_circles_are_found():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b"}}
    assert in_cycles(graph) == {"b", "c"}
    assert set(file_cycle(graph)) == {"b", "c"}
    assert package_imports({"k8sbootstrap.plan.x": {"k8sbootstrap.config.y", "k8sbootstrap.plan.z"}}) == {
        "plan": {"config"}
    }
