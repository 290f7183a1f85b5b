"""The JSON Schema and the reference pages say what the models say."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8sbootstrap.config.later import ANY, LATER, of_key
from k8sbootstrap.config.schema import json_schema
from k8sbootstrap.config.template import Start, cluster_file_text
from tests.unit.config.config_examples import BAD, HEAD, HOSTS
from tools.configuration_page import configuration_reference
from tools.exit_codes_page import error_classes, exit_code_table

DOCS = Path(__file__).parents[3] / "docs"


def fields(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, part in {"Cluster": schema, **schema["$defs"]}.items():
        for key, field in part["properties"].items():
            yield f"{name}.{key}", field


def test_every_field_and_object_is_described() -> None:
    schema = json_schema()
    for name, field in fields(schema):
        assert field.get("description") or "$ref" in field, name
    for name, part in schema["$defs"].items():
        assert part["description"], name
        assert part["additionalProperties"] is False, name


def test_keys_are_spelled_as_in_the_file() -> None:
    names = {name for name, _ in fields(json_schema())}
    assert {"Network.podCIDR", "Network.nodeCIDRMaskSize", "Api.extraSANs", "Host.privateAddress"} <= names
    assert not [name for name in names if "_" in name]


def test_the_schema_is_one() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize(
    "text",
    [HEAD + HOSTS, cluster_file_text(Start("demo", "1.36.2", ("10.0.0.11",), ("10.0.0.21",)), Path("/"))],
    ids=["small", "init"],
)
def test_the_schema_takes_good_files(text: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator(json_schema()).validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    "name",
    ["unknown-keys", "shapes", "numbers", "names", "missing", "wrong-kind", "no-hosts", "secrets", "hooks"],
)
def test_the_schema_refuses_what_the_models_refuse(name: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    document = yaml.safe_load((BAD / f"{name}.yaml").read_text())
    assert list(jsonschema.Draft202012Validator(json_schema()).iter_errors(document))


def test_the_configuration_reference_is_current() -> None:
    committed = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert committed == configuration_reference(), (
        "python -m tools.configuration_page > docs/configuration.md"
    )


def test_the_reference_has_every_key_of_every_object() -> None:
    page = configuration_reference()
    for name, _ in fields(json_schema()):
        section, _, key = name.partition(".")
        assert f"| `{key}` |" in page.split(f"## {section}\n")[1].split("\n## ")[0], name


def test_the_table_of_exit_codes_is_current() -> None:
    committed = (DOCS / "exit-codes.md").read_text(encoding="utf-8")
    assert committed == exit_code_table(), "python -m tools.exit_codes_page > docs/exit-codes.md"


def test_exit_codes_differ_from_each_other_and_from_usage_errors() -> None:
    owners: dict[int, type] = {}
    for error in error_classes():
        assert error.exit_code not in (0, 2), error
        assert 0 < error.exit_code < 256
        owner = owners.setdefault(error.exit_code, error)
        related = (
            issubclass(error, owner) or error.exit_code == 3
        )  # both say: cluster.yaml asks for the wrong thing
        assert related, f"{error.__name__} shares its exit code with {owner.__name__}"


def test_of_every_key_it_is_known_whether_it_can_be_changed_later() -> None:
    schema = json_schema()
    described = {"Cluster": schema, **schema["$defs"]}
    keys = {name: set(each["properties"]) for name, each in described.items() if "properties" in each}
    assert all(of_key(name, key) for name, found in keys.items() for key in found)
    named = {name: set(found) - {ANY} for name, found in LATER.items()}
    assert {name: found - keys.get(name, set()) for name, found in named.items() if found - keys[name]} == {}
