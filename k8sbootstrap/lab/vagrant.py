"""Lab hosts as virtual machines, by Vagrant, for machines that have a hypervisor."""

import subprocess
from pathlib import Path

import jinja2

from k8sbootstrap.errors import LabError
from k8sbootstrap.lab import artifacts, cluster_file, model, operations
from k8sbootstrap.lab.artifacts import Progress
from k8sbootstrap.lab.commands import run, succeeds
from k8sbootstrap.lab.root_image import PASSWORD, PASSWORD_USER, SUITES, USER
from k8sbootstrap.state import State

_NETWORK = "192.168.56"
"""VirtualBox's host-only network, the one it allows without further configuration."""
_MARK = "# Written by k8sbootstrap lab up --provider vagrant\n"
_TEMPLATE = """\
Vagrant.configure("2") do |config|
  config.vm.box = "debian/{{ suite }}64"
  config.vm.synced_folder ".", "/vagrant", disabled: true
  config.vm.provider "virtualbox" do |machine|
    machine.cpus = 2
    machine.memory = 2048
  end
  config.vm.provision "shell", inline: <<~SHELL
    for user in {{ user }} {{ password_user }}; do
      id $user >/dev/null 2>&1 || useradd --create-home --shell /bin/bash $user
      install -d -m 700 -o $user -g $user /home/$user/.ssh
      echo "{{ public_key }}" >/home/$user/.ssh/authorized_keys
      chown $user:$user /home/$user/.ssh/authorized_keys
    done
    echo "{{ password_user }}:{{ password }}" | chpasswd
    echo "{{ user }} ALL=(ALL) NOPASSWD:ALL" >/etc/sudoers.d/lab
    echo "{{ password_user }} ALL=(ALL) ALL" >>/etc/sudoers.d/lab
    swapoff -a && sed -i '/ swap /d' /etc/fstab
  SHELL
{% for host in hosts %}
  config.vm.define "{{ host.name }}" do |machine|
    machine.vm.hostname = "{{ host.name }}"
    machine.vm.network "private_network", ip: "{{ host.address }}"
  end
{% endfor %}
end
"""


def vagrantfile(wanted: operations.Wanted, public_key: str) -> str:
    """The Vagrantfile for these hosts."""
    environment = jinja2.Environment(trim_blocks=True, autoescape=False, undefined=jinja2.StrictUndefined)  # noqa: S701
    return _MARK + environment.from_string(_TEMPLATE).render(
        suite=SUITES[wanted.os],
        user=USER,
        password_user=PASSWORD_USER,
        password=PASSWORD,
        public_key=public_key.strip(),
        hosts=hosts(wanted),
    )


def hosts(wanted: operations.Wanted) -> list[cluster_file.ListedHost]:
    """The hosts with their addresses."""
    return [
        cluster_file.ListedHost(host.name, f"{_NETWORK}.{10 + host.index}", host.roles)
        for host in operations.hosts_of(wanted)
    ]


def up(file: Path, wanted: operations.Wanted, progress: Progress) -> None:
    """Write Vagrantfile and cluster.yaml, start the machines, and keep their host keys.

    Raises:
        LabError: Vagrant or its hypervisor is missing, or a machine does not start.
    """
    directory = model.lab_directory(file)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = directory / "id_ed25519"
    if not key.exists():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "k8sbootstrap-lab", "-f", str(key))
    (file.resolve().parent / "Vagrantfile").write_text(
        vagrantfile(wanted, key.with_suffix(".pub").read_text())
    )
    cluster_file.write(
        file,
        hosts(wanted),
        version=wanted.version,
        runtime=wanted.runtime,
        runtime_source=wanted.runtime_source,
        sources=[*(path.resolve() for path in wanted.artifacts), artifacts.directory()],
        key=key,
        dns=True,
        cgroup_v1=False,
    )
    if not succeeds("vagrant", "--version"):
        raise LabError(
            "vagrant is not installed; Vagrantfile and cluster.yaml are written",
            hint="Install vagrant and VirtualBox and run the same command again, or use --provider nspawn.",
        )
    progress("vagrant up (takes minutes the first time)")
    run("vagrant", "up", cwd=file.resolve().parent)
    state = State.beside(file, cluster_file.CLUSTER_NAME)
    state.create()
    keys = [run("ssh-keyscan", "-t", "ed25519", host.address) for host in hosts(wanted)]
    state.known_hosts.write_text("".join(keys))


def down(file: Path) -> bool:
    """Destroy the machines; whether there were any."""
    path = file.resolve().parent / "Vagrantfile"
    if not path.exists() or not path.read_text().startswith(_MARK):
        return False
    if succeeds("vagrant", "--version"):
        subprocess.run(["vagrant", "destroy", "--force"], check=True, cwd=path.parent)
    path.unlink()
    return True
