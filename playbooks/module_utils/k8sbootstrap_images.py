"""Container images loaded from tar files, for nodes that have no registry to pull from."""

from __future__ import annotations

import subprocess

_HAS = {
    "docker": ["docker", "image", "inspect", "--format", "{{.Id}}"],
    "containerd": ["ctr", "-n", "k8s.io", "images", "ls", "-q"],
}
_LOAD = {"docker": ["docker", "load", "-q", "-i"], "containerd": ["ctr", "-n", "k8s.io", "images", "import"]}


class ImageError(Exception):
    """The runtime refused an image."""


def load_images(runtime: str, images: list, check_mode: bool) -> list:
    """Load the images that the runtime does not have.

    Args:
        runtime: docker or containerd.
        images: dicts with ``ref`` (full reference) and ``tar`` (path on this host).

    Returns:
        References of the images that were (or in check mode would be) loaded.

    Raises:
        ImageError: with the runtime's own words.
    """
    loaded = []
    for image in images:
        if _has(runtime, image["ref"]):
            continue
        loaded.append(image["ref"])
        if check_mode:
            continue
        done = subprocess.run([*_LOAD[runtime], image["tar"]], check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise ImageError(
                "{} could not be loaded from {}: {}".format(image["ref"], image["tar"], done.stderr.strip())
            )
        if not _has(runtime, image["ref"]):
            raise ImageError("{} does not hold an image named {}".format(image["tar"], image["ref"]))
    return loaded


def _has(runtime: str, ref: str) -> bool:
    try:
        if runtime == "docker":
            return subprocess.run([*_HAS[runtime], ref], check=False, capture_output=True).returncode == 0
        out = subprocess.run(_HAS[runtime], check=False, capture_output=True, text=True).stdout
        return ref in out.split()
    except FileNotFoundError:
        return False
