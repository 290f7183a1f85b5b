"""Runs on a host, never on the controller: which boot it runs, and why it should be rebooted, if it should.

It is sent over SSH to ``python3 -`` and prints ``{"boot": ID, "reasons": [TEXT, ...]}``. It changes nothing.
Standard library only, Python 3.9 and later.
"""

from __future__ import annotations

import glob
import json
import os
import platform
import re
import subprocess
import sys

REQUIRED = "/run/reboot-required"
"""Debian and Ubuntu make it when a package asks for a reboot, and list such packages in a file beside it."""
KERNELS = ("/boot/vmlinuz-*", "/lib/modules/*/vmlinuz")
CONTAINER = "/run/systemd/container"
"""systemd makes it in containers, which have no kernel of their own."""
_SHOWN = 5


def read(path: str) -> str:
    """A file's text, empty when it is not there."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read(100_000)
    except OSError:
        return ""


def asked_for() -> list[str]:
    """What packages of Debian and Ubuntu ask for."""
    if not os.path.exists(REQUIRED):  # noqa: PTH110
        return []
    packages = list(dict.fromkeys(read(REQUIRED + ".pkgs").split()))
    more = [f"and {len(packages) - _SHOWN} more"] if len(packages) > _SHOWN else []
    names = ", ".join(packages[:_SHOWN] + more)
    return [f"{REQUIRED} is there" + (f", made for {names}" if names else "")]


def needs_restarting() -> list[str]:
    """What RHEL's needs-restarting says, where it is installed."""
    for command in (["needs-restarting", "-r"], ["dnf", "needs-restarting", "-r"]):
        try:
            done = subprocess.run(
                command,
                check=False,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=90,
                env={**os.environ, "LC_ALL": "C"},
            )
        except (OSError, subprocess.SubprocessError):
            continue
        # 1 is also the exit code of errors
        if done.returncode == 1 and "reboot is required" in done.stdout.lower():
            return ["needs-restarting says so"]
        return []
    return []


def older_kernel() -> list[str]:
    """The newest installed kernel of the same kind as the running one, where that is older."""
    if os.path.exists(CONTAINER):  # noqa: PTH110
        return []
    running = platform.release()
    newest = running
    for path in (path for pattern in KERNELS for path in glob.glob(pattern)):  # noqa: PTH207
        folder, name = os.path.split(path)
        version = name[len("vmlinuz-") :] if name != "vmlinuz" else os.path.basename(folder)  # noqa: PTH119
        if kind(version) == kind(running) and numbers(version) > numbers(newest):
            newest = version
    return [] if newest == running else [f"the kernel {newest} is installed, and {running} runs"]


def numbers(version: str) -> list[int]:
    """The numbers in a kernel's version, to compare by."""
    return [int(number) for number in re.findall(r"\d+", version)]


def kind(version: str) -> str:
    """What is left without numbers: kernels of other kinds, such as cloud or rt, are not newer ones."""
    return " ".join(re.sub(r"[\d._-]+", " ", version).split())


def main() -> None:
    """Print what was found."""
    boot = read("/proc/sys/kernel/random/boot_id").strip()
    reasons = [*asked_for(), *needs_restarting(), *older_kernel()]
    sys.stdout.write(json.dumps({"boot": boot, "reasons": [reason[:300] for reason in reasons]}))


if __name__ == "__main__":
    main()
