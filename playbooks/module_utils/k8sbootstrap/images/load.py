"""Container images loaded from tar files, for nodes that have no registry to pull from."""

from __future__ import annotations

import shutil
import subprocess

from ansible.module_utils.k8sbootstrap.host.request import Image
from ansible.module_utils.k8sbootstrap.images.docker import DockerError, has_image, load_image

_OF_UPSTREAM = "/usr/local/bin/ctr"
"""Where ours is; sudo's PATH lacks that folder on RHEL and its like."""


class ImageError(Exception):
    """The runtime refused an image."""


def load_images(runtime: str, images: list[Image], check_mode: bool) -> list[str]:
    """Load the images that the runtime does not have.

    Args:
        runtime: docker or containerd.
        images: The images, and where their archives are.
        check_mode: Only say what would be loaded; a runtime that is not there yet has none of them.

    Returns:
        References of the images that were (or in check mode would be) loaded.

    Raises:
        ImageError: with the runtime's own words.
    """
    loaded = []
    for image in images:
        try:
            if _has(runtime, image["ref"]):
                continue
            loaded.append(image["ref"])
            if check_mode:
                continue
            _load(runtime, image["tar"])
        except (DockerError, OSError) as error:
            if check_mode:
                loaded.append(image["ref"])
                continue
            raise ImageError(f"{image['ref']} could not be loaded from {image['tar']}: {error}") from error
        if not _has(runtime, image["ref"]):
            raise ImageError(f"{image['tar']} does not contain an image named {image['ref']}")
    return loaded


def missing_images(runtime: str, refs: list[str]) -> list[str]:
    """Those of the images that the runtime does not have.

    Raises:
        DockerError: docker does not answer.
        OSError: ctr can't be run.
    """
    if runtime == "docker":
        return [ref for ref in refs if not has_image(ref)]
    there = _listed() if refs else []
    return [ref for ref in refs if ref not in there]


def ctr() -> tuple[str, ...]:
    """The command that looks into containerd, with the kubelet's namespace."""
    return (shutil.which("ctr") or _OF_UPSTREAM, "-n", "k8s.io")


def _has(runtime: str, ref: str) -> bool:
    if runtime == "docker":
        return has_image(ref)
    return ref in _listed()


def _listed() -> list[str]:
    done = subprocess.run([*ctr(), "images", "ls", "-q"], check=False, capture_output=True, text=True)
    return done.stdout.split()


def _load(runtime: str, tar: str) -> None:
    if runtime == "docker":
        load_image(tar)
        return
    done = subprocess.run([*ctr(), "images", "import", tar], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(done.stderr.strip())
