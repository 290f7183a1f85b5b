"""Openings in firewalld, where it runs: for the cluster's hosts and pods, and for ports that others use.

An opening is [zone, kind, value], as in ``["trusted", "source", "192.0.2.21"]``, ``["public", "port",
"6443/tcp"]``.
"""

from __future__ import annotations

import json
import os
import subprocess
from xml.etree import ElementTree as ET

from ansible.module_utils.k8sbootstrap.host.record import FirewallWanted

_ZONES = ("/etc/firewalld/zones", "/usr/lib/firewalld/zones")
_ENDINGS = ("", ".old")
"""firewalld keeps the file before the last change."""
_TRUSTED = "trusted"
"""firewalld's own zone that accepts everything, also what is forwarded; here from the cluster's addresses."""


class FirewallError(Exception):
    """firewalld refused; the text has its own words."""


def is_active() -> bool:
    """Whether firewalld runs on this host."""
    command = ["systemctl", "is-active", "--quiet", "firewalld.service"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def openings(wanted: FirewallWanted) -> list[list[str]]:
    """What has to be open on this host.

    Args:
        wanted: What must get through. Ports are opened in the zones of the interfaces that have the
            addresses.
    """
    found = [[_TRUSTED, "source", source] for source in wanted["sources"]]
    if wanted["ports"]:
        zones = sorted({_zone_of(device) for device in _devices(wanted["addresses"])} - {_TRUSTED})
        found += [[zone, "port", port] for zone in zones for port in wanted["ports"]]
    return found


def closed(wanted: list[list[str]]) -> list[list[str]]:
    """Those of the openings that firewalld's permanent configuration does not have."""
    zones = {zone: _permanent(zone) for zone in {opening[0] for opening in wanted}}
    return [opening for opening in wanted if tuple(opening[1:]) not in zones[opening[0]]]


def shut(wanted: FirewallWanted) -> list[list[str]]:
    """Openings that a host lacks by now. firewalld itself is asked only where it did not run before.

    Args:
        wanted: As for ``openings``, and ``openings``: what they were last time; None where it did not run.
    """
    if not wanted or not is_active():
        return []
    known = wanted["openings"]
    return closed(openings(wanted) if known is None else known)


def open_all(wanted: list[list[str]]) -> None:
    """Make openings, now and for good. Nothing is reloaded: what others set for now alone stays.

    Raises:
        FirewallError: firewalld refused one.
    """
    for zone, kind, value in wanted:
        for scope in ((), ("--permanent",)):
            done = _firewall_cmd(*scope, f"--zone={zone}", f"--add-{kind}={value}")
            if done.returncode != 0:
                raise FirewallError(f"firewalld refused {kind} {value} in zone {zone}: {done.stderr.strip()}")


def close_all(made: list[list[str]]) -> None:
    """Take openings of ours away again; those that somebody else has taken away are no error."""
    active = is_active()
    for zone, kind, value in made:
        change = (f"--zone={zone}", f"--remove-{kind}={value}")
        if active:
            _firewall_cmd(*change)
            _firewall_cmd("--permanent", *change)
        else:
            subprocess.run(["firewall-offline-cmd", *change], check=False, capture_output=True)


def new_files(wanted: list[list[str]]) -> list[str]:
    """Files that firewalld will make for these openings and that are not there yet."""
    names = [
        f"{zone}.xml{ending}" for zone in sorted({opening[0] for opening in wanted}) for ending in _ENDINGS
    ]
    paths = [os.path.join(_ZONES[0], name) for name in names]
    return [path for path in paths if not os.path.exists(path)]


def remove_files(made: list[str]) -> None:
    """Remove files that ``new_files`` once named, where they say no more than firewalld's own do."""
    for zone in (path for path in made if path.endswith(".xml") and os.path.exists(path)):
        own = os.path.join(_ZONES[1], os.path.basename(zone))
        if os.path.exists(own) and _plain(zone) == _plain(own):
            for path in (zone, f"{zone}.old"):
                if path in made and os.path.exists(path):
                    os.unlink(path)


def words(opening: list[str]) -> str:
    """An opening as people read it."""
    zone, kind, value = opening
    return f"{kind} {value} in firewalld's zone {zone}"


def _plain(path: str) -> str:
    return ET.canonicalize(from_file=path, strip_text=True)


def _firewall_cmd(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["firewall-cmd", *arguments], check=False, capture_output=True, text=True)


def _permanent(zone: str) -> set[tuple[str, ...]]:
    for folder in _ZONES:
        path = os.path.join(folder, f"{zone}.xml")
        if os.path.exists(path):
            root = ET.parse(path).getroot()  # noqa: S314 - root alone writes it
            sources: set[tuple[str, ...]] = {
                ("source", each.get("address", "")) for each in root.findall("source")
            }
            ports: set[tuple[str, ...]] = {
                ("port", "{port}/{protocol}".format(**each.attrib)) for each in root.findall("port")
            }
            return sources | ports
    return set()


def _devices(addresses: list[str]) -> list[str]:
    out = subprocess.run(["ip", "-j", "-4", "addr"], check=False, capture_output=True, text=True).stdout
    return [
        link["ifname"]
        for link in json.loads(out or "[]")
        for entry in link.get("addr_info", [])
        if entry.get("local") in addresses
    ]


def _zone_of(device: str) -> str:
    done = _firewall_cmd(f"--get-zone-of-interface={device}")
    if done.returncode == 0:
        return done.stdout.strip()
    return _firewall_cmd("--get-default-zone").stdout.strip()
