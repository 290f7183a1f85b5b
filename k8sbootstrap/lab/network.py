"""The lab's bridge, its way out, and cutting hosts off."""

import re
import subprocess
from pathlib import Path

from k8sbootstrap.lab.commands import run, succeeds
from k8sbootstrap.lab.model import ROOT, Lab, LabHost

_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_SAVED_FORWARDING = ROOT / "ip_forward"
_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
_WANTED_INSTANCES = 8192


def up(lab: Lab) -> None:
    """Make the bridge, and let its hosts out through the machine's own address."""
    if not Path(f"/sys/class/net/{lab.bridge}").exists():
        run("ip", "link", "add", lab.bridge, "type", "bridge")
        run("ip", "address", "add", f"{lab.gateway}/24", "dev", lab.bridge)
    run("ip", "link", "set", lab.bridge, "up")
    if not _SAVED_FORWARDING.exists():
        _SAVED_FORWARDING.write_text(_FORWARDING.read_text())
    _FORWARDING.write_text("1")
    if int(_INSTANCES.read_text()) < _WANTED_INSTANCES:  # shared by all hosts: they are one kernel
        _INSTANCES.write_text(str(_WANTED_INSTANCES))
    for table, rule in _rules(lab):
        if not succeeds("iptables", "-w", "-t", table, "-C", *rule):
            run("iptables", "-w", "-t", table, "-I", *rule)


def down(lab: Lab) -> None:
    """Take the bridge and the rules away; with the last lab also the machine's forwarding, if it was off."""
    for table in ("nat", "filter"):
        saved = subprocess.run(
            ["iptables-save", "-t", table], check=False, capture_output=True, text=True
        ).stdout
        for line in saved.splitlines():
            if re.search(rf"--comment {_comment(lab)}( |$)", line):
                run("iptables", "-w", "-t", table, "-D", *line.split()[1:])
    if Path(f"/sys/class/net/{lab.bridge}").exists():
        run("ip", "link", "delete", lab.bridge)
    others = [path for path in ROOT.glob("*") if path.name.isdigit() and path != lab.folder]
    if not others and _SAVED_FORWARDING.exists():
        _FORWARDING.write_text(_SAVED_FORWARDING.read_text())
        _SAVED_FORWARDING.unlink()


def cut_off(lab: Lab, host: LabHost) -> None:
    """Drop all of a host's traffic; it runs on, alone."""
    run("ip", "link", "set", _port(lab, host), "down")


def heal(lab: Lab, host: LabHost) -> None:
    """Undo ``cut_off``."""
    run("ip", "link", "set", _port(lab, host), "up")


def is_cut_off(lab: Lab, host: LabHost) -> bool:
    """Whether the host is cut off."""
    flags = Path(f"/sys/class/net/{_port(lab, host)}/flags")
    return flags.exists() and not int(flags.read_text(), 16) & 1


def _port(lab: Lab, host: LabHost) -> str:
    return f"vb-{lab.machine(host)}"


def _comment(lab: Lab) -> str:
    return f"k8sbootstrap-lab-{lab.number}"


def _rules(lab: Lab) -> list[tuple[str, list[str]]]:
    mark = ["-m", "comment", "--comment", _comment(lab)]
    return [
        ("nat", ["POSTROUTING", "-s", lab.network, "!", "-d", lab.network, *mark, "-j", "MASQUERADE"]),
        ("filter", ["FORWARD", "-i", lab.bridge, *mark, "-j", "ACCEPT"]),
        ("filter", ["FORWARD", "-o", lab.bridge, *mark, "-j", "ACCEPT"]),
    ]
