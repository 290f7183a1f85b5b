"""Packages of a host, by the package manager of its distribution."""

from __future__ import annotations

import os
import subprocess

_OS_RELEASE = "/etc/os-release"


class PackageError(Exception):
    """The package manager refused; the text names the command and its own error."""


class Apt:
    """Debian, Ubuntu and what is made from them."""

    def installed(self) -> set:
        """Names of all packages that are installed."""
        out = _run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n"]).stdout
        return {line.split()[0] for line in out.splitlines() if line.endswith(" installed")}

    def install(self, names: list, proxy: dict, origin: tuple = ()) -> None:
        """Install in one transaction; refresh the package lists only when the first attempt fails.

        Args:
            names: Packages.
            proxy: Proxy variables.
            origin: Options that name a repository of our own; empty for the host's.

        Raises:
            PackageError: It did not work.
        """
        environment = dict(proxy, DEBIAN_FRONTEND="noninteractive")
        options = ["-o", "Dpkg::Options::=--force-confold", "-o", "DPkg::Lock::Timeout=120"]
        command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *options, *origin, *names]
        _run(["dpkg", "--configure", "-a"], environment)
        if _run(command, environment).returncode == 0:
            return
        update = _run(["apt-get", "update", "-q", *origin], environment)
        done = _run(command, environment)
        if done.returncode != 0:
            lines = (update.stderr + done.stdout + done.stderr).splitlines()
            said = [line for line in lines if line.startswith(("E:", "W:"))]
            raise PackageError("apt-get install {} failed: {}".format(" ".join(names), " ".join(said[-6:])))

    def remove(self, names: list) -> None:
        """Remove packages with their configuration.

        Raises:
            PackageError: It did not work.
        """
        command = ["apt-get", "purge", "-y", "-q", "-o", "DPkg::Lock::Timeout=120", *names]
        done = _run(command, {"DEBIAN_FRONTEND": "noninteractive"})
        if done.returncode != 0:
            raise PackageError(f"apt-get purge failed: {(done.stderr or done.stdout).strip()[-500:]}")


class Dnf:
    """RHEL and what is made from it."""

    def installed(self) -> set:
        """Names of all packages that are installed; repositories' keys are kept as such, but are none."""
        out = _run(["rpm", "-qa", "--qf", "%{NAME}\n"]).stdout
        return set(out.split()) - {"gpg-pubkey"}

    def install(self, names: list, proxy: dict, origin: tuple = ()) -> None:
        """Install in one transaction; refresh the package lists only when the first attempt fails.

        Args:
            names: Packages.
            proxy: Proxy variables.
            origin: Options that name a repository of our own; empty for the host's.

        Raises:
            PackageError: It did not work.
        """
        command = ["dnf", "install", "-y", "-q", "--setopt=install_weak_deps=False", *origin]
        if _run([*command, *names], proxy).returncode == 0:
            return
        done = _run([*command, "--refresh", *names], proxy)
        if done.returncode != 0:
            said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            raise PackageError("dnf install {} failed: {}".format(" ".join(names), " ".join(said[-6:])))

    def remove(self, names: list) -> None:
        """Remove packages, and none that they once brought along: those are named too, where they were new.

        Raises:
            PackageError: It did not work.
        """
        done = _run(["dnf", "remove", "-y", "-q", "--noautoremove", *names])
        if done.returncode != 0:
            raise PackageError(f"dnf remove failed: {(done.stderr or done.stdout).strip()[-500:]}")


MANAGERS = {"apt": Apt(), "dnf": Dnf()}


def platform_of(platforms: list) -> dict:
    """The entry for this host's distribution.

    A version that no entry names gets what another version of the distribution has, and a distribution that
    none names what the one has that it is made from: preflight has refused these, and somebody ignored it.

    Args:
        platforms: dicts with ``os`` (ID and VERSION_ID of /etc/os-release, or what this is before its first
            dot), ``manager`` and ``packages``.

    Raises:
        PackageError: There is none.
    """
    with open(_OS_RELEASE, encoding="utf-8") as handle:
        lines = [line.strip().partition("=") for line in handle if "=" in line]
    release = {key: value.strip("\"'") for key, _, value in lines}
    name, version = release.get("ID", ""), release.get("VERSION_ID", "")
    for wanted in (f"{name} {version}", f"{name} {version.partition('.')[0]}"):
        for platform in platforms:
            if wanted in platform["os"]:
                return platform
    for alike in (name, *release.get("ID_LIKE", "").split()):
        for platform in platforms:
            if any(known.startswith(f"{alike} ") for known in platform["os"]):
                return platform
    known = ", ".join(each for platform in platforms for each in platform["os"])
    raise PackageError(
        "nobody knows what the packages that this host needs are called in {}; names are known for {}".format(
            release.get("PRETTY_NAME", "its distribution"), known
        )
    )


def _run(command: list, environment=None) -> subprocess.CompletedProcess:
    return subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        env=dict(os.environ, LC_ALL="C", **(environment or {})),
    )
