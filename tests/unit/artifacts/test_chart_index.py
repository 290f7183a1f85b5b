"""Charts of Helm repositories: found by the repository's index, and held to their hash."""

from pathlib import Path

import pytest

from k8sbootstrap.catalog.models import ArtifactFile, RepositoryChart
from k8sbootstrap.errors import ArtifactError

from .helpers import Server, Site, digest

CHART = b"a chart"
INDEX = """\
apiVersion: v1
entries:
  other: [{version: 1.2.3, urls: [other-1.2.3.tgz]}]
  web:
    - {version: 1.2.4, urls: [web-1.2.4.tgz]}
    - {version: v1.2.3, urls: [%s], digest: whatever it says}
"""


def chart(server: Server, path: str = "/charts", version: str = "1.2.3", name: str = "web") -> ArtifactFile:
    where = RepositoryChart(server.url + path, name, version)
    return ArtifactFile("charts", digest(CHART)[:12], "any", "web-1.2.3.tgz", digest(CHART), chart=where)


@pytest.mark.parametrize("url", ["files/web.tgz", "/charts/files/web.tgz", "SERVER/charts/files/web.tgz"])
def test_wherever_the_index_says(site: Site, server: Server, url: str) -> None:
    server.files["/charts/index.yaml"] = (INDEX % url.replace("SERVER", server.url)).encode()
    server.files["/charts/files/web.tgz"] = CHART
    file = chart(server, "/charts/")
    found = site.fetch(file, upstream=True)[file.key]
    assert (found.path.read_bytes(), found.source) == (CHART, "upstream")
    server.files.clear()
    assert site.fetch(file, upstream=True)[file.key].source == "the cache"


@pytest.mark.parametrize(
    ("index", "more", "said"),
    [
        (None, {}, "it is not a Helm repository: it has no index.yaml"),
        ("<html>", {}, "its index.yaml is not that of a Helm repository"),
        ("{entries: {web: [{version: 1.2.3}]}}", {}, "its index.yaml is not that of a Helm repository"),
        (INDEX, {"name": "wab"}, "its index.yaml does not list the chart wab"),
        (INDEX, {"version": "1.2.9"}, "its index.yaml does not list the version 1.2.9 of web"),
    ],
)
def test_what_is_wrong_is_said(
    site: Site, server: Server, index: str | None, more: dict[str, str], said: str
) -> None:
    if index is not None:
        server.files["/charts/index.yaml"] = index.replace("%s", "web.tgz").encode()
    with pytest.raises(ArtifactError, match=f"upstream: 127.0.0.1: {said}"):
        site.fetch(chart(server, **more), upstream=True)


def test_another_file_is_refused(site: Site, server: Server) -> None:
    server.files["/charts/index.yaml"] = (INDEX % "web.tgz").encode()
    server.files["/charts/web.tgz"] = b"another"
    with pytest.raises(ArtifactError, match=f"refused: it has sha256 {digest(b'another')} and must have"):
        site.fetch(chart(server), upstream=True)


def test_a_directory_may_have_it(site: Site, server: Server, tmp_path: Path) -> None:
    file = chart(server)
    source = site.directory("mine", {file.key: CHART})
    assert site.fetch(file, sources=[source])[file.key].path.read_bytes() == CHART
    assert server.requests == []
