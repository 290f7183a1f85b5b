"""What a lab is: its number on this machine, and its hosts. Kept as JSON next to cluster.yaml."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from k8sbootstrap import private_files
from k8sbootstrap.errors import LabError

ROOT = Path("/var/lib/k8sbootstrap-lab")
"""Hosts' root file systems: ROOT/NUMBER/HOST."""


@dataclass(frozen=True)
class LabHost:
    """One host of a lab."""

    name: str
    index: int
    """1-based, over all hosts of the lab."""
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Lab:
    """A lab on this machine. All that it makes is named after ``number``, so that it can be found."""

    number: int
    os: str
    """debian12 or debian13."""
    hosts: tuple[LabHost, ...]
    sealed: bool = False
    """Whether its hosts reach only each other and this machine: no default route, no DNS, no packages."""
    provider: str = "nspawn"
    """nspawn or vagrant: what its hosts are."""

    @property
    def folder(self) -> Path:
        """Where its hosts' file systems are."""
        return ROOT / str(self.number)

    @property
    def bridge(self) -> str:
        """The bridge its hosts are on."""
        return f"k8slab{self.number}"

    @property
    def network(self) -> str:
        """Its IPv4 network; the bridge has the first address."""
        return f"10.86.{self.number}.0/24"

    @property
    def gateway(self) -> str:
        """The bridge's address."""
        return f"10.86.{self.number}.1"

    def address(self, host: LabHost) -> str:
        """A host's IPv4 address."""
        return f"10.86.{self.number}.{10 + host.index}"

    def root(self, host: LabHost) -> Path:
        """A host's root file system."""
        return self.folder / host.name

    def machine(self, host: LabHost) -> str:
        """Short name of the host's container; its interface on the bridge is ``vb-MACHINE``."""
        return f"l{self.number}-{host.index}"

    def hardware_address(self, host: LabHost) -> str:
        """MAC address of a virtual machine."""
        return f"02:6b:38:73:{self.number:02x}:{10 + host.index:02x}"

    def cgroup(self, host: LabHost) -> str:
        """Name of the host's cgroups."""
        return f"k8slab{self.number}-{host.name}"

    def host(self, name: str) -> LabHost:
        """The host of that name.

        Raises:
            LabError: there is none; the text lists those there are.
        """
        for host in self.hosts:
            if host.name == name:
                return host
        names = ", ".join(host.name for host in self.hosts)
        raise LabError(f"the lab has no host {name}", hint=f"Use one of its hosts: {names}.")


def lab_directory(cluster_file: Path) -> Path:
    """The lab's JSON file and SSH key. A dot in the name keeps it apart from any cluster's state."""
    return cluster_file.resolve().parent / ".k8sbootstrap" / "lab.hosts"


def load(cluster_file: Path) -> Lab | None:
    """The lab that belongs to a cluster file, or None.

    A file that was cut short by a crash counts as a lab without hosts: ``lab down`` finds the rest by number.
    """
    directory = lab_directory(cluster_file)
    try:
        data = json.loads((directory / "lab.json").read_text())
        hosts = tuple(LabHost(host["name"], host["index"], tuple(host["roles"])) for host in data["hosts"])
        sealed, provider = data.get("sealed", False), data.get("provider", "nspawn")
        return Lab(data["number"], data["os"], hosts, sealed=sealed, provider=provider)
    except FileNotFoundError:
        pass
    except (ValueError, KeyError, TypeError):
        pass
    for owner in sorted(ROOT.glob("*/owner")):
        if owner.read_text() == str(directory) and owner.parent.name.isdigit():
            return Lab(int(owner.parent.name), "debian12", ())
    return None


def require(cluster_file: Path) -> Lab:
    """The lab that belongs to a cluster file.

    Raises:
        LabError: there is none.
    """
    lab = load(cluster_file)
    if lab is None:
        raise LabError(f"there is no lab next to {cluster_file}", hint="Start one: k8sbootstrap lab up")
    return lab


def save(cluster_file: Path, lab: Lab) -> None:
    """Write the lab's JSON file in one step."""
    directory = lab_directory(cluster_file)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = json.dumps(asdict(lab), indent=2) + "\n"
    private_files.replace(directory / "lab.json", text.encode(), private_files.PUBLIC)


def claim(
    cluster_file: Path,
    os_name: str,
    hosts: tuple[LabHost, ...],
    *,
    sealed: bool = False,
    provider: str = "nspawn",
) -> Lab:
    """Take a free number on this machine for a new lab.

    Raises:
        LabError: all numbers are taken.
    """
    ROOT.mkdir(parents=True, exist_ok=True)
    for number in range(250):
        lab = Lab(number, os_name, hosts, sealed=sealed, provider=provider)
        if Path(f"/sys/class/net/{lab.bridge}").exists():
            continue
        try:
            lab.folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        (lab.folder / "owner").write_text(str(lab_directory(cluster_file)))
        save(cluster_file, lab)
        return lab
    raise LabError(
        f"all lab numbers under {ROOT} are taken",
        hint="Remove labs that are no longer needed: k8sbootstrap lab down",
    )
