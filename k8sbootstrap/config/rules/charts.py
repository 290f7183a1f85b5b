"""Rules about Helm charts."""

import re
from collections.abc import Iterator
from os.path import isdir, isfile
from pathlib import Path

import yaml

from k8sbootstrap.config.document import Location
from k8sbootstrap.config.draft import Draft
from k8sbootstrap.config.models.addons import ChartManifest
from k8sbootstrap.config.paths import local_path
from k8sbootstrap.config.rules.finding import Finding
from k8sbootstrap.formats.bounded import load_yaml

_OF_REPOSITORY = ("version", "sha256")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def sources(draft: Draft) -> Iterator[Finding]:
    """Charts of repositories have a name and are pinned; others have neither version nor hash."""
    for index, chart in _charts(draft):
        location = ("manifests", index)
        if chart.repository and not _NAME.fullmatch(str(chart.chart)):
            fix = "write it as in the repository's index.yaml, such as ingress-nginx"
            yield Finding((*location, "chart"), f"{chart.chart} is not the name of a chart", fix)
        for key in _OF_REPOSITORY:
            given = getattr(chart, key) is not None
            if chart.repository and not given:
                where = " (in index.yaml of the repository it is named digest)" if key == "sha256" else ""
                yield Finding(location, f"has a repository and no {key}", f'add "{key}: ..."{where}')
            elif given and not chart.repository:
                what = "is for charts of a repository"
                yield Finding((*location, key), what, "remove it, or add the key repository")


def releases(draft: Draft) -> Iterator[Finding]:
    """No two charts of a namespace have the same release."""
    seen: dict[tuple[str, str], int] = {}
    for index, chart in _charts(draft):
        first = seen.setdefault((chart.namespace, chart.release), index)
        if first != index:
            what = f"{chart.release} is also the release of manifests[{first}], in the same namespace"
            yield Finding(("manifests", index, "release"), what, "give each chart its own release name")


def local_files(draft: Draft, base: Path) -> Iterator[Finding]:
    """Charts and values on this machine are there, and are what they should be."""
    for index, chart in _charts(draft):
        location = ("manifests", index)
        if not chart.repository:
            yield from _chart(chart.chart, local_path(chart.chart, base), (*location, "chart"))
        for number, file in enumerate(chart.values_files):
            yield from _values(local_path(file, base), (*location, "valuesFiles", number))


def _charts(draft: Draft) -> Iterator[tuple[int, ChartManifest]]:
    for index, manifest in draft.manifests.items():
        if isinstance(manifest, ChartManifest):
            yield index, manifest


def _chart(written: Path, path: Path, location: Location) -> Iterator[Finding]:
    if isdir(path):  # noqa: PTH112 - Path's own raises where a folder may not be entered
        if not isfile(path / "Chart.yaml"):  # noqa: PTH113 - as above
            yield Finding(
                location, f"{written} is not a chart: it has no Chart.yaml", "name a chart's folder"
            )
    elif not isfile(path):  # noqa: PTH113 - as above
        fix = "name a chart's directory or .tgz file, or add the repository of the chart"
        yield Finding(location, f"there is no {written} next to cluster.yaml", fix)


def _values(file: Path, location: Location) -> Iterator[Finding]:
    try:
        with file.open("rb") as text:
            document = load_yaml(text)
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or "is not UTF-8 text"
        yield Finding(location, f"{file} cannot be read: {reason}", "name a file that this user can read")
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        yield Finding(location, f"{file}{where} is not valid YAML: {getattr(exc, 'problem', '')}", "")
    else:
        if document is not None and not isinstance(document, dict):
            yield Finding(
                location, f"{file} does not contain keys", "write KEY: VALUE lines, as in values.yaml"
            )
