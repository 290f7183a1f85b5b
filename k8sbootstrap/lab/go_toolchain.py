"""The Go that programs are built with: one release, so that builds on different machines are the same.

Go itself fetches that release, from the module proxy that it is configured with, and checks it against its
checksum database. Any Go since 1.21 can do that. A machine without one gets Debian's, in the lab's cache.
"""

import re
import shutil
import tempfile
from pathlib import Path

from k8sbootstrap.artifacts.cache import cache_dir
from k8sbootstrap.errors import LabError
from k8sbootstrap.lab.commands import run
from k8sbootstrap.lab.mirror import unpack

TOOLCHAIN = "go1.26.8+auto"
"""Value of GOTOOLCHAIN: this release, or a later one where a module asks for it."""
_FETCHES_OTHERS = (1, 21)
_SUITE, _PACKAGE, _PROGRAM = "trixie", "golang-1.24-go", "usr/lib/go-1.24/bin/go"


def ensure() -> str:
    """Get a Go that fetches other releases of itself.

    Returns:
        The program: this machine's, or Debian's.

    Raises:
        LabError: Debian's package can't be fetched.
    """
    if _is_new_enough():
        return "go"
    folder = cache_dir() / "lab" / _PACKAGE
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{_PACKAGE}-", dir=folder.parent) as name:
            unpacked = Path(name) / "files"
            unpack(_SUITE, [_PACKAGE], unpacked)
            unpacked.rename(folder)
    return str(folder / _PROGRAM)


def _is_new_enough() -> bool:
    if shutil.which("go") is None:
        return False
    try:
        found = re.search(r"go(\d+)\.(\d+)", run("go", "version", GOTOOLCHAIN="local"))
    except LabError:
        return False
    return found is not None and (int(found[1]), int(found[2])) >= _FETCHES_OTHERS
