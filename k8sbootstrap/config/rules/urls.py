"""Rules about the addresses that files come from."""

from collections.abc import Iterator

from urllib3.util import parse_url

from k8sbootstrap.config.document import Location
from k8sbootstrap.config.draft import Draft
from k8sbootstrap.config.models.addons import ChartManifest, UrlManifest
from k8sbootstrap.config.models.artifacts import MirrorSource
from k8sbootstrap.config.rules.finding import Finding


def logins(draft: Draft) -> Iterator[Finding]:
    """A login in an address is sent over TLS alone."""
    for location, url in _addresses(draft):
        if url.lower().startswith("http://") and parse_url(url).auth is not None:
            yield Finding(location, "contains a login, which http:// would send unencrypted", "use https://")


def _addresses(draft: Draft) -> Iterator[tuple[Location, str]]:
    for index, source in enumerate(draft.artifacts.sources if draft.artifacts else ()):
        if isinstance(source, MirrorSource):
            yield ("artifacts", "sources", index, "url"), source.url
    for version, release in draft.releases.items():
        for key, file in release.files.items():
            yield ("releases", version, "files", key, "url"), file.url
    for index, manifest in draft.manifests.items():
        if isinstance(manifest, UrlManifest):
            yield ("manifests", index, "url"), manifest.url
        elif isinstance(manifest, ChartManifest) and manifest.repository:
            yield ("manifests", index, "repository"), manifest.repository
