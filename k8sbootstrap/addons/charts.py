"""Helm charts as objects: rendered once, and kept, for many make new passwords each time."""

import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from k8sbootstrap import private_files
from k8sbootstrap.addons.helm import Chart, template
from k8sbootstrap.addons.scopes import Scopes
from k8sbootstrap.formats.objects import Object, ObjectError, Sourced, read_objects
from k8sbootstrap.formats.text import some

HOOK = "helm.sh/hook"
"""Annotation on what helm runs around an installation and does not keep."""
KEEP = {"k8sbootstrap.io/prune": "false"}
"""Annotation on what stays when the chart is removed: others may have put something into it."""
_FORMAT = 1
_SOURCE = re.compile(r"^# Source: (.+)$", re.MULTILINE)
_DOCUMENT = re.compile(r"^---(?=\s|\Z)", re.MULTILINE)
_SHOWN = 5


@dataclass(frozen=True)
class Helm:
    """The program that renders charts."""

    path: Path
    version: str


@dataclass(frozen=True)
class Rendered:
    """A chart as it was rendered."""

    objects: list[Sourced]
    """In the order in which helm installs them."""
    notes: list[str]
    """Messages for the user about the chart."""


class Renderer:
    """Renders charts, and keeps each result under a digest of all that it was rendered from.

    Args:
        helm: The program.
        kubernetes: Version of Kubernetes that charts are for.
        kept: Folder for the results; made readable by its owner alone, for they may be secret.
    """

    def __init__(self, helm: Helm, kubernetes: str, kept: Path) -> None:
        self._helm = helm
        self._kubernetes = kubernetes
        self._kept = kept
        self._used: set[str] = set()

    def render(self, chart: Chart, scopes: Scopes) -> Rendered:
        """The objects of a chart.

        Args:
            chart: The chart.
            scopes: Kinds that were defined before it; learns those that it defines.

        Raises:
            ObjectError: It can't be read or rendered.
        """
        self._kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self._kept / f"{self._digest(chart, scopes)}.json"
        self._used.add(file.name)
        kept = _kept_at(file)
        if kept is None:
            api_versions = scopes.api_versions
            texts = [
                template(self._helm.path, chart, self._kubernetes, api_versions, self._kept) for _ in range(2)
            ]
            first, second = (_read(text, chart) for text in texts)
            kept = {"text": texts[0], "random": _differing(first, second)}
            _keep(file, kept)
        found = _read(str(kept["text"]), chart)
        scopes.add_definitions(each.object for each in found)
        hooks = [each for each in found if HOOK in _annotations(each.object)]
        objects = [
            replace(each, object=scopes.placed(_staying(each), chart.namespace))
            for each in found
            if HOOK not in _annotations(each.object)
        ]
        return Rendered(objects, list(_notes(chart, hooks, kept["random"])))

    def forget_others(self) -> None:
        """Remove what is kept of charts that were not rendered here."""
        for path in self._kept.glob("*") if self._kept.is_dir() else ():
            if path.is_dir():  # of a run that was killed
                shutil.rmtree(path)
            elif path.name not in self._used:
                path.unlink()

    def _digest(self, chart: Chart, scopes: Scopes) -> str:
        described = asdict(chart) | {
            "path": _content(chart.path),
            "values_files": [_content(file) for file in chart.values_files],
            "helm": self._helm.version,
            "kubernetes": self._kubernetes,
            "api_versions": scopes.api_versions,
            "format": _FORMAT,
        }
        return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:32]


def _content(path: Path) -> str:
    """Digest of a file, or of all files in a folder and what they are called."""
    digest = hashlib.sha256()
    try:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                name = str(file.relative_to(path)).encode()
                content = hashlib.sha256(file.read_bytes()).digest()
                digest.update(len(name).to_bytes(4, "big") + name + content)
    except OSError as exc:
        raise ObjectError(f"{exc.filename} cannot be read: {exc.strerror}") from exc
    return digest.hexdigest()


def _kept_at(file: Path) -> Object | None:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) and {"text", "random"} <= document.keys() else None


def _keep(file: Path, document: Object) -> None:
    private_files.replace(file, json.dumps(document).encode())


def _read(text: str, chart: Chart) -> list[Sourced]:
    """The objects in what helm printed; each is numbered within its template."""
    numbers: Counter[str] = Counter()
    found = []
    source = chart.title
    for part in _DOCUMENT.split(text):
        if named := _SOURCE.search(part):
            source = f"{chart.title}, {named[1]}"
        for each in read_objects(part, source, lenient=True):
            numbers[source] += 1
            found.append(replace(each, number=numbers[source]))
    return found


def _staying(each: Sourced) -> Object:
    """The object. A definition beside the templates gets an annotation that keeps it, as helm keeps it.

    Removing a definition removes all objects of its kind.
    """
    if each.object["kind"] != "CustomResourceDefinition" or "/templates/" in each.source:
        return each.object
    metadata = each.object["metadata"]
    return {**each.object, "metadata": {**metadata, "annotations": {**_annotations(each.object), **KEEP}}}


def _differing(first: list[Sourced], second: list[Sourced]) -> list[str]:
    """Titles of the objects that are not the same in two renderings of a chart."""
    known = {each.identity: each.object for each in second}
    return [each.title for each in first if known.get(each.identity) != each.object]


def _annotations(item: Object) -> Object:
    found = item["metadata"].get("annotations")
    return found if isinstance(found, dict) else {}


def _notes(chart: Chart, hooks: list[Sourced], random: list[str]) -> Iterator[str]:
    if hooks:
        named = [f"{each.title} ({_annotations(each.object)[HOOK]})" for each in hooks]
        yield f"{chart.title}: hooks are not run: {some(named, _SHOWN)}"
    if random:
        yield (
            f"{chart.title} renders random values in {some(random, _SHOWN)}: they are kept "
            "until the chart, its values, Kubernetes or helm change"
        )
