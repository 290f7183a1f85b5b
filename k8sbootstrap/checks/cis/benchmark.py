"""The controls of the CIS benchmark, as kube-bench's own files have them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, BeforeValidator, StringConstraints

from k8sbootstrap.errors import ArtifactError
from k8sbootstrap.formats.bounded import load_yaml

_Text = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int | float) else value)]
_ID = Annotated[_Text, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)*$")]


@dataclass(frozen=True)
class Control:
    """One recommendation of the benchmark."""

    id: str
    """As in 1.1.1."""
    title: str
    target: str
    """Name of its file in kube-bench, without the ending: master, controlplane, etcd, node, policies."""
    about_etcd: bool
    """Whether its command looks at etcd."""


@dataclass(frozen=True)
class Benchmark:
    """The whole benchmark."""

    version: str
    """kube-bench's name of it, as in cis-1.12."""
    controls: tuple[Control, ...]
    """In the order of the benchmark."""
    files: Mapping[str, str]
    """File name to text: what kube-bench reads."""

    def of(self, target: str, *, about_etcd: bool) -> list[str]:
        """IDs of a target's controls that look at etcd, or of those that do not."""
        return [each.id for each in self.controls if each.target == target and each.about_etcd == about_etcd]


class _Check(BaseModel):
    id: _ID
    text: str
    audit: str = ""


class _Group(BaseModel):
    checks: list[_Check]


class _File(BaseModel):
    version: _Text
    type: str
    groups: list[_Group]


def read_benchmark(paths: Mapping[str, Path]) -> Benchmark:
    """Read kube-bench's files.

    Args:
        paths: File name, as in master.yaml, to the file.

    Raises:
        ArtifactError: A file can't be read, or is not one of kube-bench's.
    """
    texts = {}
    files = []
    for name, path in paths.items():
        try:
            texts[name] = path.read_text(encoding="utf-8")
            files.append(_File.model_validate(load_yaml(texts[name])))
        except (OSError, ValueError, yaml.YAMLError) as exc:
            raise ArtifactError(f"{path} is not {name} of kube-bench: {exc}") from exc
    controls = [
        Control(check.id, " ".join(check.text.split()), file.type, "$etcd" in check.audit)
        for file in files
        for group in file.groups
        for check in group.checks
    ]
    controls.sort(key=lambda control: [int(part) for part in control.id.split(".")])
    return Benchmark(files[0].version, tuple(controls), texts)
