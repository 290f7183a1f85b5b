"""The lab's bridge, its way out, and cutting hosts off.

Addresses are translated in an nftables table of the lab's own, so that nothing of it stays behind.
"""

import re
import subprocess
from pathlib import Path

from k8sbootstrap.lab.commands import run, succeeds
from k8sbootstrap.lab.model import ROOT, Lab

_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_SAVED_FORWARDING = ROOT / "ip_forward"
_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
_WANTED_INSTANCES = 8192


def up(lab: Lab) -> None:
    """Make the bridge and let its hosts out through the machine's own address, where that is not so yet.

    Hosts of a sealed lab are not let out.
    """
    if not Path(f"/sys/class/net/{lab.bridge}").exists():
        run("ip", "link", "add", lab.bridge, "address", _hardware_address(lab), "type", "bridge")
        run("ip", "address", "add", f"{lab.gateway}/24", "dev", lab.bridge)
    run("ip", "link", "set", lab.bridge, "up")
    if int(_INSTANCES.read_text()) < _WANTED_INSTANCES:  # shared by all hosts: they are one kernel
        _INSTANCES.write_text(str(_WANTED_INSTANCES))
    if lab.sealed:
        return
    if not _SAVED_FORWARDING.exists():
        _SAVED_FORWARDING.write_text(_FORWARDING.read_text())
    _FORWARDING.write_text("1")
    if not succeeds("nft", "list", "table", "ip", lab.bridge):
        run("nft", "-f", "-", stdin=_translation(lab))
    if _forwarding_is_filtered():
        for rule in _accepted(lab):
            if not succeeds("iptables", "-w", "-C", *rule):
                run("iptables", "-w", "-I", *rule)


def down(lab: Lab) -> None:
    """Take the bridge and the rules away; with the last lab also the machine's forwarding, if it was off."""
    for line in _filter_rules():
        if re.search(rf"--comment {_comment(lab)}( |$)", line):
            run("iptables", "-w", "-D", *line.split()[1:])
    if succeeds("nft", "list", "table", "ip", lab.bridge):
        run("nft", "delete", "table", "ip", lab.bridge)
    if Path(f"/sys/class/net/{lab.bridge}").exists():
        run("ip", "link", "delete", lab.bridge)
    others = [path for path in ROOT.glob("*") if path.name.isdigit() and path != lab.folder]
    if not others and _SAVED_FORWARDING.exists():
        _FORWARDING.write_text(_SAVED_FORWARDING.read_text())
        _SAVED_FORWARDING.unlink()


def cut_off(port: str) -> None:
    """Drop all traffic of the host on an interface; it runs on, alone."""
    run("ip", "link", "set", port, "down")


def heal(port: str) -> None:
    """Undo ``cut_off``."""
    run("ip", "link", "set", port, "up")


def is_cut_off(port: str) -> bool:
    """Whether the host on an interface is cut off."""
    flags = Path(f"/sys/class/net/{port}/flags")
    return flags.exists() and not int(flags.read_text(), 16) & 1


def _comment(lab: Lab) -> str:
    return f"k8sbootstrap-lab-{lab.number}"


def _hardware_address(lab: Lab) -> str:
    """Of the bridge, which would else take that of a host and change it as hosts come and go."""
    return f"02:6b:38:73:{lab.number:02x}:01"


def _translation(lab: Lab) -> str:
    """Rules that give what leaves the bridge the machine's address.

    Not "what goes to other addresses": where bridged packets pass these rules too (net.bridge.bridge-nf-call-
    iptables), that would hit packets to pods, which go from host to host over the bridge.
    """
    return f"""
        table ip {lab.bridge} {{
          chain postrouting {{
            type nat hook postrouting priority srcnat;
            ip saddr {lab.network} oifname != "{lab.bridge}" masquerade
          }}
        }}
    """


def _filter_rules() -> list[str]:
    done = subprocess.run(["iptables-save", "-t", "filter"], check=False, capture_output=True, text=True)
    return done.stdout.splitlines()


def _forwarding_is_filtered() -> bool:
    """Whether the machine has rules that may refuse to forward; where not, none of the lab's are needed."""
    return any(line.startswith((":FORWARD DROP", "-A FORWARD")) for line in _filter_rules())


def _accepted(lab: Lab) -> list[list[str]]:
    mark = ["-m", "comment", "--comment", _comment(lab), "-j", "ACCEPT"]
    return [["FORWARD", "-i", lab.bridge, *mark], ["FORWARD", "-o", lab.bridge, *mark]]
