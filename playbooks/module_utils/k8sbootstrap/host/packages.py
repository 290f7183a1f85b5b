"""Packages of a host, by the package manager of its distribution."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Mapping
from typing import TypedDict, Union

_OS_RELEASE = "/etc/os-release"


class PackageError(Exception):
    """The package manager refused; the text names the command and its own error."""


class Apt:
    """Debian, Ubuntu and what is made from them."""

    def installed(self) -> set[str]:
        """Names of all packages that are installed."""
        out = _run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n"]).stdout
        return {line.split()[0] for line in out.splitlines() if line.endswith(" installed")}

    def removed_by(self, names: list[str], origin: tuple[str, ...] = ()) -> list[str]:
        """Packages of the host that installing these would remove. It changes nothing.

        Where the package lists are missing or do not have them, nothing is known, and nothing is returned.
        """
        return _taken_off(_run([*_INSTALL, "-s", *_NO_LOCK, *origin, *names]).stdout)

    def install(self, names: list[str], proxy: Mapping[str, str], origin: tuple[str, ...] = ()) -> None:
        """Install in one transaction; refresh the package lists only when the first attempt fails.

        apt removes, downgrades and changes the held state of no package for it: it refuses the whole then.

        Args:
            names: Packages.
            proxy: Proxy variables.
            origin: Options that name a repository of our own; empty for the host's.

        Raises:
            PackageError: It did not work.
        """
        environment = dict(proxy, DEBIAN_FRONTEND="noninteractive")
        options = ["-y", "--no-remove", "-o", "Dpkg::Options::=--force-confold", *_WAIT]
        command = [*_INSTALL, *options, *origin, *names]
        _run(["dpkg", "--configure", "-a"], environment)
        if _run(command, environment).returncode == 0:
            return
        update = _run(["apt-get", "update", "-q", *origin], environment)
        done = _run(command, environment)
        if done.returncode != 0:
            refuse_removal(names, self.removed_by(names, origin))
            said = _apt_says(update.stderr) + _apt_says(done.stdout + "\n" + done.stderr)
            raise PackageError("apt-get install {} failed: {}".format(" ".join(names), " ".join(said[-8:])))

    def needed_by_others(self, names: list[str]) -> dict[str, list[str]]:
        """Those of these packages that can't go without packages which are not named; to the latter."""
        going = _taken_off(_run([*_PURGE, "-s", *_NO_LOCK, *names]).stdout)
        if set(going) <= set(names):
            return {}
        others = {
            name: set(_taken_off(_run([*_PURGE, "-s", *_NO_LOCK, name]).stdout)) - set(names)
            for name in names
        }
        return {name: sorted(needed) for name, needed in others.items() if needed}

    def remove(self, names: list[str]) -> None:
        """Remove packages with their configuration, and with no data that programs had before them.

        Raises:
            PackageError: It did not work.
        """
        for command in (["apt-get", "remove", "-q"], _PURGE):
            done = _run([*command, "-y", *_WAIT, *names], {"DEBIAN_FRONTEND": "noninteractive"})
            if done.returncode != 0:
                said = (done.stderr or done.stdout).strip()[-500:]
                raise PackageError(f"{' '.join(command[:2])} failed: {said}")
            with contextlib.suppress(OSError):
                os.unlink(_NUKE)


_INSTALL = ["apt-get", "install", "-q", "--no-install-recommends"]
_PURGE = ["apt-get", "purge", "-q"]
_WAIT = ["-o", "DPkg::Lock::Timeout=120"]
_NUKE = "/var/lib/docker/nuke-graph-directory.sh"
"""With this, which it leaves there on its removal, purging docker.io deletes all containers and volumes."""
_NO_LOCK = ["-o", "Debug::NoLocking=1"]
_REMOVAL = re.compile(r"^(?:Remv|Purg) (\S+)", re.MULTILINE)


def _taken_off(simulated: str) -> list[str]:
    """Packages that ``apt-get -s`` says would be removed."""
    return sorted({name.partition(":")[0] for name in _REMOVAL.findall(simulated)})


def _apt_says(output: str) -> list[str]:
    """Apt's and dpkg's own words of what is wrong."""
    lines = [line.strip() for line in output.splitlines()]
    wrong = ("E:", "W:", "dpkg: error")
    return [
        line for line in lines if line.startswith(wrong) or " : Depends:" in line or " : Conflicts:" in line
    ]


class Dnf:
    """RHEL and what is made from it."""

    def installed(self) -> set[str]:
        """Names of all packages that are installed; repositories' keys are kept as such, but are none."""
        out = _run(["rpm", "-qa", "--qf", "%{NAME}\n"]).stdout
        return set(out.split()) - {"gpg-pubkey"}

    def install(self, names: list[str], proxy: Mapping[str, str], origin: tuple[str, ...] = ()) -> None:
        """Install in one transaction; refresh the package lists only when the first attempt fails.

        dnf removes no package for it: it refuses the whole then.

        Args:
            names: Packages.
            proxy: Proxy variables.
            origin: Options that name a repository of our own; empty for the host's.

        Raises:
            PackageError: It did not work.
        """
        refuse_removal(names, self.removed_by(names, origin))
        command = [*_DNF_INSTALL, "-y", "-q", *origin]
        if _run([*command, *names], proxy).returncode == 0:
            return
        refuse_removal(names, self.removed_by(names, ("--refresh", *origin)))
        done = _run([*command, *names], proxy)
        if done.returncode != 0:
            said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            raise PackageError("dnf install {} failed: {}".format(" ".join(names), " ".join(said[-6:])))

    def removed_by(self, names: list[str], origin: tuple[str, ...] = ()) -> list[str]:
        """Packages of the host that installing these would remove. It changes nothing.

        dnf itself refuses what would remove packages, but for those that say that they replace others.
        """
        simulated = _run([*_DNF_INSTALL, "--assumeno", *origin, *names]).stdout
        return sorted(set(_REPLACED.findall(simulated)))

    def needed_by_others(self, names: list[str]) -> dict[str, list[str]]:
        """Those of these packages that can't go without packages which are not named; to the latter."""
        full = _run(["rpm", "-qa", "--qf", "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH} %{NAME}\n"]).stdout
        named = dict(line.split() for line in full.splitlines())
        kept: dict[str, list[str]] = {}
        going = [name for name in names if name in named.values()]
        while going and _run(["rpm", "-e", "--test", *going]).returncode != 0:
            before = len(kept)
            for name in going:
                said = _run(["rpm", "-e", "--test", name]).stderr
                users = {named.get(user, user) for user in _NEEDED.findall(said)} - set(going)
                if users:
                    kept[name] = sorted(users)
            going = [name for name in going if name not in kept]
            if len(kept) == before:
                break  # rpm refuses for another reason, and dnf will say which
        return kept

    def remove(self, names: list[str]) -> None:
        """Remove packages, and none that they once brought along: those are named too, where they were new.

        Raises:
            PackageError: It did not work.
        """
        done = _run(["dnf", "remove", "-y", "-q", "--noautoremove", *names])
        if done.returncode != 0:
            raise PackageError(f"dnf remove failed: {(done.stderr or done.stdout).strip()[-500:]}")


_DNF_INSTALL = ["dnf", "install", "--setopt=install_weak_deps=False"]
_REPLACED = re.compile(r"^\s+replacing\s+(\S+)\.\w+\s", re.MULTILINE)
_NEEDED = re.compile(r"is needed by \(installed\) (\S+)")


def refuse_removal(names: list[str], removed: list[str]) -> None:
    """Refuse an installation that would remove packages of the host.

    Args:
        names: What was to be installed.
        removed: What would go.

    Raises:
        PackageError: Something would.
    """
    if removed:
        raise PackageError(
            "installing {} would remove {} from this host: nothing was installed. Use a host "
            "without {}, or remove the conflicting packages yourself".format(
                " ".join(names), " ".join(removed), "it" if len(removed) == 1 else "them"
            )
        )


Manager = Union[Apt, Dnf]
MANAGERS: dict[str, Manager] = {"apt": Apt(), "dnf": Dnf()}


class Platform(TypedDict):
    """What to install on a distribution."""

    os: list[str]
    """ID and VERSION_ID of /etc/os-release, or what this is before its first dot."""
    manager: str
    """apt or dnf."""
    packages: list[str]


def os_release() -> dict[str, str]:
    """The fields of this host's /etc/os-release by name, without the quotes of their values."""
    with open(_OS_RELEASE, encoding="utf-8") as handle:
        lines = [line.strip().partition("=") for line in handle if "=" in line]
    return {key: value.strip("\"'") for key, _, value in lines}


def platform_of(platforms: list[Platform]) -> Platform:
    """The entry for this host's distribution.

    A version that no entry names gets what another version of the distribution has, and a distribution that
    none names what the one has that it is made from: preflight has refused these, and somebody ignored it.

    Args:
        platforms: All that there are.

    Raises:
        PackageError: There is none.
    """
    release = os_release()
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
        "k8sbootstrap does not know the packages for {}, only for {}".format(
            release.get("PRETTY_NAME", "its distribution"), known
        )
    )


def _run(
    command: list[str], environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        env=dict(os.environ, LC_ALL="C", **(environment or {})),
    )
