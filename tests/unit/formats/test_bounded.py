"""YAML and JSON of any origin: what grows without bounds is refused at once, in every reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from k8sbootstrap.artifacts.bundle import manifest
from k8sbootstrap.errors import BundleError, StateError
from k8sbootstrap.formats.bounded import MAX_VALUES, load_json, load_yaml
from k8sbootstrap.formats.objects import ObjectError, read_objects
from k8sbootstrap.pki import operator_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ALIASES = "a: &a [1,2,3,4,5,6,7,8,9]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{new}: &{new} {{<<: [{','.join([f'*{old}'] * 9)}]}}\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
NESTED = "[" * 5000 + "]" * 5000
DEEP = "[" * 500 + "]" * 500
ITSELF = "&a [*a]"


@pytest.mark.parametrize("text", [ALIASES, MERGES, NESTED, DEEP, ITSELF])
@pytest.mark.parametrize("reader", ["yaml", "objects", "kubeconfig"])
def test_every_reader_of_yaml_refuses(text: str, reader: str, tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    readers: dict[str, tuple[Callable[[], object], type[Exception]]] = {
        "yaml": (lambda: load_yaml(text), yaml.YAMLError),
        "objects": (lambda: read_objects(text, "file.yaml"), ObjectError),
        "kubeconfig": (lambda: operator_kubeconfig.merge("", "demo", file), StateError),
    }
    read, error = readers[reader]
    with pytest.raises(error):
        read()


def test_many_values_without_aliases_are_taken() -> None:
    assert len(load_yaml("[" + "1," * (MAX_VALUES // 10) + "]")) == MAX_VALUES // 10


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 100_000])
def test_json_that_is_nested_too_deeply_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        load_json(text)
    with pytest.raises(BundleError, match="damaged"):
        manifest.parse(text)
