"""Every role says what it takes: argument specs, defaults and use agree."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
TYPES = {"bool": bool, "dict": dict, "int": int, "list": list, "path": str, "str": str}
MODULES = {
    path.stem for kind in ("library", "action_plugins") for path in (ROOT / "playbooks" / kind).glob("*.py")
}
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text()) if path.exists() else None


def options(role: Path) -> dict[str, dict[str, Any]]:
    return load(role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]


def sources(role: Path) -> Iterator[Path]:
    """Files that use variables."""
    for folder in ("tasks", "templates", "vars", "handlers"):
        yield from sorted((role / folder).glob("*"))


def names(role: Path) -> dict[str, set[str]]:
    """Variables of the role by prefix: public (role_x), private (_role_x), registered (__role_x)."""
    found: dict[str, set[str]] = {"": set(), "_": set(), "__": set()}
    pattern = re.compile(rf"(?<![\w./-])(_{{0,2}})({role.name}_\w+|(?<=__){role.name}\b)")
    for path in sources(role):
        for underscores, name in pattern.findall(path.read_text()):
            if underscores or name not in MODULES:
                found[underscores].add(name)
    return found


@pytest.fixture(params=ROLES, ids=lambda role: role.name)
def role(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.param
    return folder


def test_there_are_roles() -> None:
    assert len(ROLES) >= 11


def test_defaults_are_those_of_the_specs(role: Path) -> None:
    specified = {name: spec["default"] for name, spec in options(role).items() if "default" in spec}
    assert (load(role / "defaults/main.yml") or {}) == specified
    assert (role / "defaults/main.yml").exists() == bool(specified)


def test_defaults_have_the_type_of_the_specs(role: Path) -> None:
    for name, spec in options(role).items():
        if "default" in spec:
            assert type(spec["default"]) is TYPES[spec["type"]], name
        for value in spec["default"] if spec["type"] == "list" and "default" in spec else []:
            assert spec["elements"] == "raw" or isinstance(value, TYPES[spec["elements"]]), name


def test_options_are_documented_and_decided(role: Path) -> None:
    specs = load(role / "meta/argument_specs.yml")["argument_specs"]["main"]
    assert specs["short_description"] == load(role / "meta/main.yml")["galaxy_info"]["description"]
    assert load(role / "meta/main.yml")["galaxy_info"]["role_name"] == role.name
    for name, spec in specs["options"].items():
        assert name.startswith(f"{role.name}_"), name
        assert spec["description"].endswith("."), name
        assert spec.get("required", False) != ("default" in spec), (
            f"{name}: either required or with a default"
        )
        assert (spec["type"] == "list") == ("elements" in spec), name


def test_variables_in_use_are_specified(role: Path) -> None:
    assert names(role)[""] - set(options(role)) == set()


def test_options_are_used(role: Path) -> None:
    assert set(options(role)) - names(role)[""] == set()


def test_private_variables_are_defined_and_used(role: Path) -> None:
    defined = set(load(role / "vars/main.yml") or {})
    for path in (role / "tasks").glob("*.yml"):
        for task in load(path):
            defined |= set(task.get("vars", {}))
    assert {f"_{name}" for name in names(role)["_"]} == defined


def test_registered_variables_have_the_roles_name(role: Path) -> None:
    registered = {
        task["register"]
        for path in (role / "tasks").glob("*.yml")
        for task in load(path)
        if "register" in task
    }
    assert registered == {f"__{name}" for name in names(role)["__"]}


def test_no_role_reads_the_variables_of_another(role: Path) -> None:
    foreign = "|".join(sorted((other.name for other in ROLES if other != role), key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w./'\"-])_{{0,2}}((?:{foreign})_\w+)")
    for path in sources(role):
        text = QUOTED.sub("", path.read_text()) if path.suffix == ".j2" else path.read_text()
        found = {name for name in pattern.findall(text) if not name.startswith(f"{role.name}_")}
        known = {name for other in ROLES if other != role for name in options(other)}
        assert found & known == set(), path
