"""Lab hosts as virtual machines, by Vagrant and libvirt: each has a kernel of its own and boots it.

Vagrant creates them. What comes later - stop, start, run a command - is asked of libvirt.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import jinja2

from k8sbootstrap.errors import LabError
from k8sbootstrap.lab import box, guest_agent, host_files, kvm, libvirt
from k8sbootstrap.lab.artifacts import Progress
from k8sbootstrap.lab.commands import run
from k8sbootstrap.lab.model import ROOT, Lab, LabHost
from k8sbootstrap.lab.root_image import USER

BOOT_SECONDS = 600.0
"""Within which a host answers over SSH: an emulated one takes about a minute on an idle machine."""
MEMORY_MIB = 2048
_CPUS, _EMULATED_CPUS = 2, 1
"""Two emulated processors in threads of their own fail: QEMU 7.2 breaks the instruction cmpxchg16b."""
_SECONDS_TO_STOP = 300.0
_EMULATED, _KVM = 'libvirt.driver = "qemu"', 'libvirt.driver = "kvm"'
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CLEAN = ("/usr/bin/env", "-i", f"PATH={_PATH}", "HOME=/root", "LANG=C.UTF-8", "TERM=dumb")

_TEMPLATE = """\
# Of the lab in {{ owner }}.
Vagrant.configure("2") do |config|
  config.vm.box = "{{ lab.bridge }}"
  config.vm.box_check_update = false
  config.vm.boot_timeout = {{ boot_seconds }}
  config.vm.synced_folder ".", "/vagrant", disabled: true
  config.ssh.username = "{{ user }}"
  config.ssh.private_key_path = "{{ owner }}/id_ed25519"
  config.ssh.insert_key = false
  config.vm.provider "libvirt" do |libvirt|
    {{ driver_emulated if emulated else driver_kvm }}
    libvirt.cpu_mode = "{{ "maximum" if emulated else "host-passthrough" }}"
    libvirt.cpus = {{ cpus }}
    libvirt.memory = {{ memory }}
    libvirt.default_prefix = "{{ lab.bridge }}-"
    libvirt.storage_pool_name = "{{ lab.bridge }}"
    libvirt.mgmt_attach = false
    libvirt.qemu_use_agent = true
    libvirt.graphics_type = "none"
  end
{% for host in lab.hosts %}
  config.vm.define "{{ host.name }}" do |machine|
    machine.vm.network "public_network", dev: "{{ lab.bridge }}", mode: "bridge", type: "bridge",
      mac: "{{ lab.hardware_address(host) }}", auto_config: false
    machine.vm.provider "libvirt" do |libvirt|
      libvirt.storage :file, device: :cdrom, bus: "sata", path: "{{ lab.folder }}/{{ host.name }}.iso"
      libvirt.serial type: "file", source: {path: "{{ lab.folder }}/{{ host.name }}.console"}
    end
  end
{% endfor %}
end
"""


def require(count: int) -> None:
    """See that this machine has the memory for that many more virtual machines.

    Raises:
        LabError: It has not.
    """
    lines = Path("/proc/meminfo").read_text().splitlines()
    free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) // 1024
    if free < count * MEMORY_MIB:
        raise LabError(
            f"{count} virtual machines need {count * MEMORY_MIB} MiB of memory, {free} MiB are free",
            hint="Start fewer hosts, end other programs, or use --provider nspawn.",
        )


def create(lab: Lab, image: Path, public_key: str, progress: Progress) -> list[str]:
    """Make what the virtual machines start from: box, storage pool, Vagrantfile, a CD for each.

    Returns:
        The hosts' public SSH keys.
    """
    lab.folder.chmod(0o711)  # QEMU runs as a user of its own
    _home(lab).mkdir(exist_ok=True)
    libvirt.ensure()
    keys = [_seed(lab, host, image, public_key) for host in lab.hosts]
    _disks(lab).mkdir(mode=0o711, exist_ok=True)
    libvirt.ensure_pool(lab.bridge, _disks(lab))
    vagrantfile = lab.folder / "Vagrantfile"
    if not vagrantfile.exists():
        file = box.ensure(image, progress)
        _vagrant(lab, "box", "add", "--force", "--name", lab.bridge, str(file))
        [kernel] = (_home(lab) / "boxes").glob(f"*/*/libvirt/{box.KERNEL}")
        emulated = not kvm.runs(kernel)
        if emulated:
            progress("KVM does not run here: the virtual machines are emulated, 20 to 30 times slower")
        text = vagrantfile_text(lab, (lab.folder / "owner").read_text(), emulated=emulated)
        partial = lab.folder / ".Vagrantfile"
        partial.write_text(text)
        partial.rename(vagrantfile)
    return keys


def vagrantfile_text(lab: Lab, owner: str, *, emulated: bool) -> str:
    """The Vagrantfile of a lab.

    Args:
        lab: The lab.
        owner: The folder of its SSH key.
        emulated: Whether its machines run without KVM.
    """
    environment = jinja2.Environment(trim_blocks=True, autoescape=False, undefined=jinja2.StrictUndefined)  # noqa: S701
    return environment.from_string(_TEMPLATE).render(
        lab=lab,
        owner=owner,
        emulated=emulated,
        driver_emulated=_EMULATED,
        driver_kvm=_KVM,
        user=USER,
        cpus=_EMULATED_CPUS if emulated else _CPUS,
        memory=MEMORY_MIB,
        boot_seconds=int(BOOT_SECONDS),
    )


def is_emulated(lab: Lab) -> bool:
    """Whether the lab's machines run without KVM."""
    return _EMULATED in (lab.folder / "Vagrantfile").read_text()


def start(lab: Lab, hosts: Sequence[LabHost]) -> None:
    """Boot hosts that do not run. Vagrant creates those that are new, and waits for them.

    Raises:
        LabError: One does not start.
    """
    libvirt.ensure()
    there = [host for host in hosts if _is_whole(lab, host)]
    for host in there:
        libvirt.virsh("start", _domain(lab, host.name))
    if new := [host for host in hosts if host not in there]:
        _remove_unfinished(lab, new)
        _vagrant(lab, "up", "--provider=libvirt", "--no-destroy-on-error", *(host.name for host in new))


def _is_whole(lab: Lab, host: LabHost) -> bool:
    """Whether a machine was created to its end: its network interface comes last."""
    domain = _domain(lab, host.name)
    return domain in libvirt.domains(domain) and lab.hardware_address(host) in libvirt.virsh(
        "domiflist", domain
    )


def _remove_unfinished(lab: Lab, hosts: Sequence[LabHost]) -> None:
    """Remove what a killed Vagrant left of machines, and the box's disk too if there is no machine."""
    for host in hosts:
        if _domain(lab, host.name) in libvirt.domains(_domain(lab, host.name)):
            libvirt.remove_domain(_domain(lab, host.name))
    others = libvirt.domains(_domain(lab, ""))
    left = [_disk(lab, host) for host in hosts] if others else _disks(lab).iterdir()
    for disk in left:
        disk.unlink(missing_ok=True)
    libvirt.virsh("pool-refresh", lab.bridge)


def is_running(lab: Lab, host: LabHost) -> bool:
    """Whether a host runs."""
    return libvirt.process(_domain(lab, host.name)) is not None


def is_booted(lab: Lab, host: LabHost) -> bool:
    """Whether users may log in: pam_nologin refuses them while the host boots."""
    if not is_running(lab, host):
        return False
    try:
        return (
            guest_agent.execute(_domain(lab, host.name), ["/usr/bin/test", "!", "-e", "/run/nologin"]).code
            == 0
        )
    except LabError:  # the agent does not run yet
        return False


def port(lab: Lab, host: LabHost) -> str | None:
    """The network interface of this machine that a host is connected with: its MAC address is derived."""
    wanted = "fe" + lab.hardware_address(host)[2:]
    for interface in Path(f"/sys/class/net/{lab.bridge}/brif").glob("*"):
        if Path(f"/sys/class/net/{interface.name}/address").read_text().strip() == wanted:
            return interface.name
    return None


def kill(lab: Lab, host: LabHost) -> None:
    """Stop a host at once, as if its plug was pulled."""
    if is_running(lab, host):
        libvirt.ensure()
        libvirt.virsh("destroy", _domain(lab, host.name))


def shut_down(lab: Lab, host: LabHost) -> None:
    """Let the host's systemd stop everything in order.

    Raises:
        LabError: It does not within five minutes.
    """
    if not is_running(lab, host):
        return
    libvirt.ensure()
    libvirt.virsh("shutdown", "--mode=agent,acpi", _domain(lab, host.name))
    deadline = time.monotonic() + _SECONDS_TO_STOP
    while is_running(lab, host):
        if time.monotonic() > deadline:
            raise LabError(
                f"{host.name} did not stop within {_SECONDS_TO_STOP:.0f} s",
                hint="Stop it without --graceful.",
            )
        time.sleep(0.2)


def run_inside(lab: Lab, host: LabHost, command: list[str]) -> int:
    """Run a command as root inside a host, whatever its network is like. It has no input.

    What it prints comes when it has ended.

    Returns:
        The command's exit code; 128 and the signal's number when a signal ended it.

    Raises:
        LabError: The host's guest agent does not answer.
    """
    libvirt.ensure()
    ended = guest_agent.execute(_domain(lab, host.name), [*_CLEAN, *command])
    for stream, content in ((sys.stdout, ended.output), (sys.stderr, ended.errors)):
        stream.flush()
        stream.buffer.write(content)
        stream.flush()
    return ended.code


def remove_remains(lab: Lab) -> None:
    """Remove what libvirt has of the lab; with the last such lab, stop the daemons that labs started."""
    if _home(lab).exists():
        _end_vagrant(lab)
        libvirt.ensure()
        for domain in libvirt.domains(_domain(lab, "")):
            libvirt.remove_domain(domain)
        libvirt.remove_pool(lab.bridge)
        shutil.rmtree(_home(lab))
    if not list(ROOT.glob("*/vagrant")):
        libvirt.stop_own()


def _seed(lab: Lab, host: LabHost, image: Path, public_key: str) -> str:
    """Make the CD that carries a host's own files, unless it is there."""
    files, disc = lab.folder / f"{host.name}.files", lab.folder / f"{host.name}.iso"
    if not disc.exists():
        shutil.rmtree(files, ignore_errors=True)
        files.mkdir(mode=0o700)
        host_files.lay(lab, host, files, image=image, public_key=public_key, interface="eth0")
        partial = lab.folder / f".{disc.name}"
        run("tar", "-C", str(files), "-cf", str(partial), *sorted(path.name for path in files.iterdir()))
        partial.chmod(0o600)
        partial.rename(disc)
    return host_files.known_key(files)


def _domain(lab: Lab, name: str) -> str:
    return f"{lab.bridge}-{name}"


def _disk(lab: Lab, host: LabHost) -> Path:
    return _disks(lab) / f"{_domain(lab, host.name)}.img"


def _disks(lab: Lab) -> Path:
    return lab.folder / "disks"


def _home(lab: Lab) -> Path:
    """Vagrant's own files of the lab; that it is there means that libvirt may have some too."""
    return lab.folder / "vagrant"


def _end_vagrant(lab: Lab) -> None:
    """End programs that work in the lab's folder: a Vagrant that outlived the lab up which called it."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            if (process / "cwd").readlink() == lab.folder:
                os.kill(int(process.name), signal.SIGKILL)


def _vagrant(lab: Lab, *words: str) -> None:
    environment = {
        "VAGRANT_HOME": str(_home(lab)),
        "VAGRANT_DOTFILE_PATH": str(_home(lab) / "machines"),
        "VAGRANT_CHECKPOINT_DISABLE": "1",
        "VAGRANT_DEFAULT_PROVIDER": "libvirt",
    }
    log = lab.folder / "vagrant.log"
    with log.open("ab") as said:
        done = subprocess.run(
            ["vagrant", *words],
            check=False,
            cwd=lab.folder,
            env=dict(os.environ, **environment),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
    if done.returncode != 0:
        lines = [line for line in log.read_text(errors="replace").splitlines() if "/gems/" not in line]
        last = "\n".join(lines[-12:])
        raise LabError(
            f"vagrant {words[0]} failed with exit code {done.returncode}:\n{last}",
            hint=f"See the whole log in {log}, and what the machines printed in {lab.folder}/*.console.",
        )
