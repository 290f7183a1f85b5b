"""Every role says what it takes: argument specs, defaults and use agree."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from jinja2 import meta

from k8sbootstrap.run.playbook import ASKS_MASTERS

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
TYPES = {"bool": bool, "dict": dict, "int": int, "list": list, "path": str, "str": str}
MODULES = {
    path.stem for kind in ("library", "action_plugins") for path in (ROOT / "playbooks" / kind).glob("*.py")
}
MAGIC = {
    *("ansible_check_mode", "ansible_play_batch", "ansible_play_hosts", "ansible_play_hosts_all"),
    *("groups", "hostvars", "inventory_hostname", "lookup", "role_path"),
}
"""What Ansible itself gives to every role."""
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


def registered(role: Path) -> set[str]:
    """Variables that tasks register."""
    tasks = [task for path in (role / "tasks").glob("*.yml") for task in load(path)]
    return {task["register"] for task in tasks if "register" in task}


def read(role: Path) -> set[str]:
    """Variables that a role reads from outside of a file's own scopes."""
    tasks = [(path, load(path)) for path in sorted((role / "tasks").glob("*.yml"))]
    given = {
        item["template"]: set(item.get("vars", {}))
        for _, value in tasks
        for item in mappings(value)
        if "template" in item
    }
    included: dict[str, set[str]] = {}
    for _, value in tasks:
        for task in value:
            if "ansible.builtin.include_tasks" in task:
                included.setdefault(task["ansible.builtin.include_tasks"], set()).update(task.get("vars", {}))
    found: set[str] = set()
    for path, value in tasks:
        found |= in_value(value) - included.get(path.name, set())
    for folder in ("defaults", "vars"):
        for path in sorted((role / folder).glob("*.yml")):
            found |= in_value(load(path))
    for path in sorted((role / "templates").glob("*.j2")):
        found |= in_template(path.read_text()) - given.get(path.name, set())
    return found


def mappings(value: Any) -> Iterator[dict[str, Any]]:
    """``value`` and all that is in it, as far as they are mappings."""
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from mappings(each)


def in_value(value: Any) -> set[str]:
    """Variables that a value of YAML reads: in its templates, and in the expressions that ``when`` is."""
    if isinstance(value, str):
        return in_template(value)
    if isinstance(value, list):
        return set().union(*map(in_value, value))
    if not isinstance(value, dict):
        return set()
    found: set[str] = set()
    for key, each in value.items():
        found |= in_template(f"{{{{ {each} }}}}") if key == "when" else in_value(each)
    own = set(value["vars"]) if isinstance(value.get("vars"), dict) else set()
    own |= {"item"} if "loop" in value else set()
    return found - own


def in_template(text: str) -> set[str]:
    """Variables that a template reads."""
    environment = jinja2.Environment()
    tree = environment.parse(text)
    environment.filters.update({node.name: str for node in tree.find_all(jinja2.nodes.Filter)})
    environment.tests.update({node.name: bool for node in tree.find_all(jinja2.nodes.Test)})
    return meta.find_undeclared_variables(tree)


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
    assert not specs["short_description"].endswith("."), "the reference ends the sentence"
    for name, spec in specs["options"].items():
        assert name.startswith(f"{role.name}_"), name
        assert spec["description"].endswith("."), name
        assert spec.get("required", False) != ("default" in spec), (
            f"{name}: either required or with a default"
        )
        assert (spec["type"] == "list") == ("elements" in spec), name


def test_variables_in_use_are_declared(role: Path) -> None:
    declared = set(options(role)) | MAGIC | registered(role) | set(load(role / "vars/main.yml") or {})
    found = {name for name in read(role) if name not in declared}
    assert found == set()


@pytest.mark.parametrize(
    ("folder", "text", "found"),
    [
        ("tasks", "[{component: {name: '{{ other_name }}'}}]", {"other_name"}),
        ("tasks", "[{component: {}, when: other | length > 0}]", {"other"}),
        ("tasks", "[{component: {files: [{dest: a, when: other}]}}]", {"other"}),
        ("tasks", "[{component: {files: [{dest: '{{ item }}', loop: '{{ other }}'}]}}]", {"other"}),
        ("tasks", "[{component: {name: '{{ item }}'}}]", {"item"}),
        (
            "tasks",
            "[{component: {name: '{{ a }}'}, vars: {a: '{{ other }}'}}, {b: '{{ a }}'}]",
            {"other", "a"},
        ),
        ("tasks", "[{include_tasks: b.yml, when: groups.masters, vars: {a: 1}}]", {"groups"}),
        ("vars", "{a: '{{ other.a }}', b: {c: ['{% if another %}{% endif %}']}}", {"other", "another"}),
        ("templates", "{% for each in other %}{{ each }} {{ 'another' }}{% endfor %}", {"other"}),
    ],
)
def test_reading_a_variable_is_seen(tmp_path: Path, folder: str, text: str, found: set[str]) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / ("x.j2" if folder == "templates" else "main.yml")).write_text(text)
    assert read(tmp_path) == found


def test_what_a_template_is_given_by_its_item_is_declared_for_it_alone(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "templates").mkdir()
    (tmp_path / "tasks/main.yml").write_text(
        "[{component: {files: [{template: x.j2, vars: {a: '{{ other }}'}}]}}]"
    )
    for name in ("x.j2", "y.j2"):
        (tmp_path / "templates" / name).write_text("{{ a }}")
    assert read(tmp_path) == {"other", "a"}
    (tmp_path / "templates/y.j2").unlink()
    assert read(tmp_path) == {"other"}


def test_actions_name_the_variables_that_they_read() -> None:
    for path in (ROOT / "playbooks/action_plugins").glob("*.py"):
        text = path.read_text()
        known = ast.get_docstring(ast.parse(text)) or ""
        found = set(re.findall(r"task_vars(?:\.get\(|\[)\"(\w+)", text)) - {"ansible_facts"}
        assert {name for name in found if name not in known} == set(), path


def test_the_run_tells_hosts_that_do_not_answer_to_all_roles_that_take_them() -> None:
    takers = {role.name for role in ROLES if f"{role.name}_unreachable" in options(role)}
    assert takers == set(ASKS_MASTERS)


def test_options_are_used(role: Path) -> None:
    assert set(options(role)) - names(role)[""] == set()


def test_private_variables_are_defined_and_used(role: Path) -> None:
    defined = set(load(role / "vars/main.yml") or {})
    for path in (role / "tasks").glob("*.yml"):
        for task in load(path):
            defined |= set(task.get("vars", {}))
    assert {f"_{name}" for name in names(role)["_"]} == defined


def test_registered_variables_have_the_roles_name(role: Path) -> None:
    assert registered(role) == {f"__{name}" for name in names(role)["__"]}


def test_no_role_reads_the_variables_of_another(role: Path) -> None:
    foreign = "|".join(sorted((other.name for other in ROLES if other != role), key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w./'\"-])_{{0,2}}((?:{foreign})_\w+)")
    for path in sources(role):
        text = QUOTED.sub("", path.read_text()) if path.suffix == ".j2" else path.read_text()
        found = {name for name in pattern.findall(text) if not name.startswith(f"{role.name}_")}
        known = {name for other in ROLES if other != role for name in options(other)}
        assert found & known == set(), path
