"""Rules about Kubernetes objects in files on this machine."""

from collections.abc import Iterator
from os.path import isdir
from pathlib import Path

from k8sbootstrap.config.draft import Draft
from k8sbootstrap.config.manifest_files import files_of, local_objects
from k8sbootstrap.config.models.addons import DirectoryManifest, FileManifest
from k8sbootstrap.config.paths import local_path
from k8sbootstrap.config.rules.finding import Finding
from k8sbootstrap.formats.objects import ObjectError


def objects(draft: Draft, base: Path) -> Iterator[Finding]:
    """Manifests are there and hold objects."""
    for index, manifest in draft.manifests.items():
        if isinstance(manifest, DirectoryManifest):
            location = ("manifests", index, "directory")
            directory = local_path(manifest.directory, base)
            if not isdir(directory):  # noqa: PTH112 - Path's own raises where a folder may not be entered
                yield Finding(
                    location,
                    f"{manifest.directory} is not a directory",
                    "create it or name another directory",
                )
                continue
            if not files_of(directory):
                yield Finding(location, f"{manifest.directory} contains no .yaml, .yml or .json file", "")
                continue
        elif isinstance(manifest, FileManifest):
            location = ("manifests", index, "file")
        else:
            continue
        try:
            local_objects(manifest, base)
        except ObjectError as exc:
            yield Finding(location, str(exc), "")
