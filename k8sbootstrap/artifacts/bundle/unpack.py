"""A bundle's distribution packages, unpacked into the cache once."""

import shutil
import tempfile
from pathlib import Path

from k8sbootstrap.artifacts.bundle.manifest import INDEX, PACKAGES
from k8sbootstrap.artifacts.bundle.reader import Bundle
from k8sbootstrap.errors import BundleError
from k8sbootstrap.formats.archive import copy_out


def unpack_packages(bundle: Bundle, cache: Path) -> dict[str, Path]:
    """Make the bundle's repositories folders of the cache, checking every hash.

    Args:
        bundle: The bundle.
        cache: The cache directory.

    Returns:
        System, such as debian12/amd64, to its folder.

    Raises:
        BundleError: The bundle is damaged, or the cache can't be written.
    """
    try:
        return {
            system: _unpack(bundle, system, cache / "repositories") for system in bundle.manifest.packages
        }
    except OSError as exc:
        raise BundleError(
            f"{exc.filename or cache}: {exc.strerror}",
            hint=f"Check that {cache} is writable and has free space, or set K8SBOOTSTRAP_CACHE to "
            "another directory.",
        ) from exc


def _unpack(bundle: Bundle, system: str, top: Path) -> Path:
    """The folder is named by the hash of its index, which has the hashes of all packages."""
    prefix = f"{PACKAGES}/{system}/"
    target = top / bundle.manifest.files[prefix + INDEX].sha256[:16]
    if target.is_dir():
        return target
    top.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".unpack-", dir=top))
    try:
        for path, entry in bundle.manifest.files.items():
            if not path.startswith(prefix):
                continue
            with bundle.open(path) as content:
                sha256 = copy_out(content, partial / path.removeprefix(prefix), entry.size)
            if sha256 != entry.sha256:
                raise BundleError(
                    f"{bundle.path}: {path} has sha256 {sha256} and must have {entry.sha256},"
                    " as its manifest says",
                    hint="Copy the bundle again. To check all of it, run: k8sbootstrap bundle verify",
                )
        partial.chmod(0o755)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target
