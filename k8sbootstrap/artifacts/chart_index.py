"""Where a Helm repository has a chart's file, as its index says."""

from typing import Any
from urllib.parse import urljoin

import yaml

from k8sbootstrap.artifacts.cache import Cache
from k8sbootstrap.artifacts.sources.base import AbsentError, SourceError, download
from k8sbootstrap.artifacts.web import Web
from k8sbootstrap.catalog.models import RepositoryChart
from k8sbootstrap.formats import limits
from k8sbootstrap.formats.bounded import load_yaml


def chart_url(chart: RepositoryChart, web: Web, cache: Cache) -> str:
    """Ask the repository's index. It is not believed: the file is checked against a hash known beforehand.

    Raises:
        SourceError: The index can't be had or read; ``AbsentError`` when it does not list the chart.
    """
    index = f"{chart.repository.rstrip('/')}/index.yaml"
    with cache.temporary() as temporary:
        try:
            download(web, index, temporary, lambda _received, _total: None, limits.DOCUMENT)
        except AbsentError as exc:
            raise AbsentError("it is not a Helm repository: it has no index.yaml") from exc
        with temporary.open("rb") as text:
            try:
                entries = load_yaml(text)["entries"]
                found = [_url(each) for each in entries.get(chart.name) or () if _is(each, chart.version)]
            except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError) as exc:
                raise SourceError("its index.yaml is not that of a Helm repository") from exc
    if chart.name not in entries:
        raise AbsentError(f"its index.yaml does not list the chart {chart.name}")
    if not found:
        raise AbsentError(f"its index.yaml does not list the version {chart.version} of {chart.name}")
    return urljoin(index, found[0])


def _is(entry: dict[str, Any], version: str) -> bool:
    """Whether an entry is of that version; with or without a v in front of it."""
    return str(entry["version"]).removeprefix("v") == version.removeprefix("v")


def _url(entry: dict[str, Any]) -> str:
    return str(entry["urls"][0])
