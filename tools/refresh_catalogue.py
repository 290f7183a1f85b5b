"""Bring the catalogue up to date: ``python -m tools.refresh_catalogue [VERSION ...]``.

For maintainers. Raises ``newest`` of minors in releases.yaml, and adds the checksums that upstream publishes
to checksums.yaml. Comments stay. It writes all or nothing.
"""

import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import click
from urllib3.util import parse_url

from k8sbootstrap import private_files
from k8sbootstrap.artifacts.sources.base import SourceError, parse_sums
from k8sbootstrap.artifacts.web import Web, WebError
from k8sbootstrap.catalog.data import ARCHITECTURES, CHECKSUMS, RELEASES, Catalogue, minor_of, numbers, parse
from k8sbootstrap.config.models.base import VERSION
from k8sbootstrap.config.models.network import Proxy
from k8sbootstrap.errors import ArtifactError

NEWEST = "https://dl.k8s.io/release/stable-{minor}.txt"
"""Where upstream names the newest release of a minor."""

Fetch = Callable[[str], str]
"""Gets the text at an address; raises ``ArtifactError``."""


def refresh(folder: Path, wanted: Sequence[str], fetch: Fetch) -> list[str]:
    """Add releases and checksums to the catalogue in ``folder``.

    Args:
        folder: Holds releases.yaml and checksums.yaml.
        wanted: Kubernetes releases of catalogued minors; empty for the newest ones of all these minors.
            Releases between the catalogued ones and these are added too.
        fetch: Gets checksum files.

    Returns:
        What was added: releases, and keys of checksums.

    Raises:
        ArtifactError: Upstream does not have something, or publishes another checksum than the catalogue has.
    """
    releases, checksums = ((folder / name).read_text(encoding="utf-8") for name in (RELEASES, CHECKSUMS))
    catalogue = parse(releases, checksums)
    before = catalogue.versions()
    for version in wanted or [_newest(minor.minor, fetch) for minor in catalogue.minors]:
        releases = _raised(releases, catalogue, version)
        catalogue = parse(releases, checksums)
    added = [version for version in reversed(catalogue.versions()) if version not in before]
    chosen = dict.fromkeys([*wanted, *added])
    known = dict(catalogue.sha256)
    for key, address, name in _published(catalogue, chosen):
        sha256 = _listed(fetch(address), address, name)
        if known.setdefault(key, sha256) != sha256:
            raise ArtifactError(
                f"{address} says {sha256} for {key}, the catalogue {known[key]}",
                hint="What upstream published once must not change: find out which is right.",
            )
    new = [key for key in known if key not in catalogue.sha256]
    if added or new:
        checksums = _with_checksums(checksums, catalogue, {key: known[key] for key in new})
        parse(releases, checksums)
        for name, text in ((RELEASES, releases), (CHECKSUMS, checksums)):
            private_files.replace(folder / name, text.encode(), private_files.PUBLIC)
    return [*added, *new]


def fetch_from(upstream: str | None) -> Fetch:
    """Fetch checksum files over HTTP.

    Args:
        upstream: Base address that stands in for scheme and host of upstream's sites; None for themselves.
    """
    web = Web(Proxy(), threading.Event())

    def fetch(address: str) -> str:
        where = upstream.rstrip("/") + (parse_url(address).path or "") if upstream else address
        try:
            return web.text(where)
        except WebError as exc:
            raise ArtifactError(f"{where}: {exc}") from exc

    return fetch


def _newest(minor: str, fetch: Fetch) -> str:
    """The newest release of a minor that upstream has."""
    address = NEWEST.format(minor=minor)
    newest = fetch(address).strip().removeprefix("v")
    if not re.fullmatch(VERSION, newest) or minor_of(newest) != minor:
        raise ArtifactError(f"{address}: is not a release of {minor}: {newest[:40]!r}")
    return newest


def _raised(releases: str, catalogue: Catalogue, version: str) -> str:
    """The text of releases.yaml with ``version`` as the newest of its minor, unless a newer one is there."""
    minor = minor_of(version)
    if not re.fullmatch(VERSION, version) or minor not in catalogue.releases:
        minors = ", ".join(each.minor for each in catalogue.minors)
        raise ArtifactError(
            f"{version} is no release of a catalogued minor ({minors})",
            hint=f"A new minor is written into {RELEASES} by hand, with what it takes.",
        )
    newest = max(version, catalogue.releases[minor].newest, key=numbers)
    return re.sub(rf'(?m)^(  "{re.escape(minor)}": {{newest: )[0-9.]+', rf"\g<1>{newest}", releases)


def _published(catalogue: Catalogue, versions: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Key, address of the checksum and name in it, of all that upstream publishes checksums for."""
    for version in versions:
        used = catalogue.releases[minor_of(version)].versions(version).by_name()
        used |= {"kubernetes": version, "kubernetes-test": version, **catalogue.of_every_release()}
        for name, project in catalogue.projects.by_name().items():
            if project.checksum_url is None:
                continue
            for arch in ARCHITECTURES:
                for file in ("",) if project.member else project.files:
                    place = {"version": used[name], "arch": arch, "file": file}
                    url = project.url.format(**place)
                    key = f"{name}/{used[name]}/{arch}" + (f"/{file}" if file else "")
                    yield key, project.checksum_url.format(url=url, **place), url.rpartition("/")[2]


def _listed(text: str, address: str, name: str) -> str:
    """The checksum of ``name`` in a checksum file: of a hash alone, or of lines as sha256sum writes them."""
    try:
        sums = parse_sums(text)
    except SourceError as exc:
        raise ArtifactError(f"{address}: is not a list of sha256 sums: {text.strip()[:40]!r}") from exc
    sha256 = sums.get("") or sums.get(name)
    if sha256 is None:
        raise ArtifactError(f"{address}: does not list {name}")
    return sha256


def _with_checksums(checksums: str, catalogue: Catalogue, added: dict[str, str]) -> str:
    """The text of checksums.yaml with more of them, in order. A comment stays above its line."""
    projects = catalogue.projects.by_name()

    def place(key: str) -> tuple[object, ...]:
        name, version, arch, *file = key.split("/")
        newest_first = tuple(-number for number in numbers(version))
        return (
            list(projects).index(name),
            newest_first,
            arch,
            *(projects[name].files.index(each) for each in file),
        )

    entries = {key: f"{key}: {sha256}\n" for key, sha256 in added.items()}
    head, above = "", ""
    for line in checksums.splitlines(keepends=True):
        above += line
        key = line.partition(":")[0]
        if key in catalogue.sha256:
            if not head:  # what is above the first entry is about the whole file
                head, above = above.removesuffix(line), line
            entries[key], above = above, ""
    return head + "".join(entries[key] for key in sorted(entries, key=place)) + above


@click.command()
@click.argument("versions", nargs=-1)
@click.option("--upstream", help="Base address that stands in for upstream's sites.")
@click.option(
    "--catalogue",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(__file__).parent.parent / "k8sbootstrap" / "catalog",
    help="Folder of releases.yaml and checksums.yaml.",
)
def command(versions: tuple[str, ...], upstream: str | None, catalogue: Path) -> None:
    """Add VERSIONS to the release catalogue; by default all that are newer than the catalogued ones."""
    try:
        added = refresh(catalogue, versions, fetch_from(upstream))
    except ArtifactError as exc:
        click.echo("\n".join(filter(None, [str(exc), exc.hint])), err=True)
        sys.exit(exc.exit_code)
    click.echo("\n".join(added) or "nothing is new")


if __name__ == "__main__":
    command()
