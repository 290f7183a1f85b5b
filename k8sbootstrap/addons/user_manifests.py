"""Reads and renders the entries of ``manifests`` in cluster.yaml."""

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from k8sbootstrap.addons.charts import KEEP, Helm, Renderer
from k8sbootstrap.addons.manifests import chart_file, chart_of, remote_file, url_objects
from k8sbootstrap.addons.scopes import Scopes
from k8sbootstrap.catalog.data import MACHINES
from k8sbootstrap.catalog.models import ArtifactFile
from k8sbootstrap.catalog.resolve import helm
from k8sbootstrap.config import document
from k8sbootstrap.config.manifest_files import local_objects
from k8sbootstrap.config.models.addons import ChartManifest, Manifest, UrlManifest
from k8sbootstrap.config.models.cluster import Cluster
from k8sbootstrap.errors import ConfigError
from k8sbootstrap.formats.objects import Object, ObjectError, Sourced

_OWN_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


@dataclass(frozen=True)
class UserManifest:
    """The objects of one entry of ``manifests``."""

    objects: Sequence[Sourced] = ()
    notes: Sequence[str] = ()
    """What the user should know about them."""


def files(manifests: Sequence[Manifest]) -> list[ArtifactFile]:
    """The files to fetch before ``entries``: manifests at URLs, charts in repositories, helm for charts."""
    found = [remote_file(each) for each in manifests if isinstance(each, UrlManifest)]
    charts = [each for each in manifests if isinstance(each, ChartManifest)]
    found += [file for each in charts if (file := chart_file(each))]
    return [*found, *([helm_file()] if charts else [])]


def renderer(config: Cluster, fetched: Mapping[str, Path], kept: Path) -> Renderer:
    """What renders charts for a cluster.

    Args:
        config: The cluster.
        fetched: ``ArtifactFile.key`` to where the file is; it has helm, where a chart is to be rendered.
        kept: Folder that rendered charts are kept in.
    """
    program = helm_file()
    path = fetched.get(program.key, Path())
    return Renderer(Helm(path, program.version), config.kubernetes.version, kept)


def entries(
    config: Cluster, cluster_file: Path, fetched: Mapping[str, Path], charts: Renderer
) -> list[UserManifest]:
    """Read files and render charts.

    Args:
        config: The cluster.
        cluster_file: cluster.yaml; paths in it are relative to its folder.
        fetched: ``ArtifactFile.key`` to where the file is. An entry that needs one which is not there comes
            to nothing but a note.
        charts: Renders charts.

    Raises:
        ConfigError: Something can't be read or rendered; names the entry.
    """
    base = cluster_file.resolve().parent
    scopes = Scopes()
    found = []
    for index, manifest in enumerate(config.manifests):
        missing = [file.key for file in files([manifest]) if file.key not in fetched]
        try:
            found.append(
                UserManifest(
                    notes=[f"manifests[{index}] was not checked: {', '.join(missing)} is not downloaded yet"]
                )
                if missing
                else _entry(manifest, base, fetched, charts, scopes)
            )
        except ObjectError as exc:
            location = ("manifests", index, _key(manifest))
            raise ConfigError([document.read(cluster_file).problem(location, str(exc), "")]) from exc
    return [*_with_namespaces(config.manifests, found)]


def _entry(
    manifest: Manifest, base: Path, fetched: Mapping[str, Path], charts: Renderer, scopes: Scopes
) -> UserManifest:
    if isinstance(manifest, ChartManifest):
        rendered = charts.render(chart_of(manifest, base, fetched), scopes)
        return UserManifest(rendered.objects, rendered.notes)
    if isinstance(manifest, UrlManifest):
        objects = url_objects(manifest, fetched)
    else:
        objects = local_objects(manifest, base)
    scopes.add_definitions(each.object for each in objects)
    return UserManifest(objects)


def _with_namespaces(manifests: Sequence[Manifest], found: Sequence[UserManifest]) -> Iterator[UserManifest]:
    """The entries, with the namespaces that charts need and nobody describes."""
    objects = [each.object for entry in found for each in entry.objects]
    there = {item["metadata"]["name"] for item in objects if item["kind"] == "Namespace"}
    there.update(_OWN_NAMESPACES)
    for manifest, entry in zip(manifests, found, strict=True):
        if isinstance(manifest, ChartManifest) and entry.objects and manifest.namespace not in there:
            there.add(manifest.namespace)
            made = Sourced(f"namespace of chart {manifest.release}", 1, _namespace(manifest.namespace))
            yield UserManifest([made, *entry.objects], entry.notes)
        else:
            yield entry


def _namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "annotations": KEEP}}


def helm_file() -> ArtifactFile:
    """The program that renders charts, for this machine."""
    machine = platform.machine()
    return helm(MACHINES.get(machine, machine))


def _key(manifest: Manifest) -> str:
    """The key of an entry that says where its objects are."""
    return next(key for key in ("chart", "url", "directory", "file") if hasattr(manifest, key))
