"""Clusters that the roles are rendered for, and how they are rendered: by Ansible itself, sending nothing."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from k8sbootstrap.inventory.build import build_inventory
from k8sbootstrap.inventory.logins import read_logins, write_logins
from k8sbootstrap.inventory.proxy import write_proxy
from k8sbootstrap.inventory.snapshot_store import read_store, write_store
from k8sbootstrap.inventory.write import write_inventory
from k8sbootstrap.pki.issue import ensure_pki
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State

ROOT = Path(__file__).resolve().parents[2]
RECORDER = Path(__file__).parent / "recorder"
HOSTS = ("master1", "worker1")
"""One host of each kind is rendered."""
PLAIN = """\
apiVersion: k8sbootstrap/v1alpha1
kind: Cluster
name: demo
kubernetes: {{version: {version}}}
runtime: {{name: {runtime}}}
hosts:
  - {{name: master1, address: 10.0.0.11, roles: [master]}}
  - {{name: master2, address: 10.0.0.12, roles: [master]}}
  - {{name: master3, address: 10.0.0.13, roles: [master]}}
  - {{name: worker1, address: 10.0.0.21, roles: [worker]}}
  - {{name: worker2, address: 10.0.0.22, roles: [worker]}}
"""
FULL = """\
apiVersion: k8sbootstrap/v1alpha1
kind: Cluster
name: full
kubernetes:
  version: {version}
  extraArgs:
    etcd: {{heartbeat-interval: "250"}}
    kube-apiserver: {{audit-log-maxage: "60", event-ttl: 2h0m0s}}
    kube-controller-manager: {{node-monitor-grace-period: 30s}}
    kube-scheduler: {{v: "2"}}
    kubelet: {{v: "2", root-dir: "/srv/100% kubelet"}}
    kube-proxy: {{v: "2"}}
  extraConfig:
    kubelet: {{maxPods: 60, authentication: {{webhook: {{cacheTTL: 1m0s}}}}}}
    kube-proxy: {{conntrack: {{maxPerCore: 0}}}}
    kube-scheduler: {{leaderElection: {{leaseDuration: 20s}}}}
runtime:
  name: {runtime}
  registries:
    - {{host: docker.io, mirrors: ["https://mirror.example.com/", "http://cache.example.com:8080"]}}
    - {{host: mirror.example.com, ca: registry-ca.crt}}
    - host: registry.example.com:5000
      ca: registry-ca.crt
      username: puller
      password: {{file: password}}
{more}
registry: {{host: worker1, port: 5005, dataFolder: /srv/images}}
network: {{podCIDR: 10.8.0.0/16, serviceCIDR: 10.9.0.0/20, nodeCIDRMaskSize: 25, dnsDomain: k8s.example.com}}
api:
  {{endpoint: "api.example.com:8443", port: 7443, extraSANs: [k8s.example.com], authentication: users.yaml}}
proxy:
  http: http://robot:hunter2@proxy.example.com:3128
  https: http://proxy.example.com:3128
  noProxy: [.example.com]
etcd:
  snapshots:
    s3:
      endpoint: https://store.example.net:9000
      bucket: backups
      prefix: clusters
      accessKey: AKEXAMPLE
      secretKey: {{file: bucket-secret}}
      ca: registry-ca.crt
ssh: {{user: admin}}
hosts:
  - {{name: master1, address: 192.0.2.11, privateAddress: 10.0.0.11, roles: [master, worker]}}
  - {{name: master2, address: 192.0.2.12, privateAddress: 10.0.0.12, roles: [master]}}
  - {{name: master3, address: 192.0.2.13, privateAddress: 10.0.0.13, roles: [master]}}
  - name: worker1
    address: 192.0.2.21
    privateAddress: 10.0.0.21
    roles: [worker]
    labels: {{example.com/zone: a, disk: ssd}}
    taints:
      - {{key: example.com/dedicated, value: batch, effect: NoSchedule}}
      - {{key: example.com/empty, effect: PreferNoSchedule}}
  - {{name: worker2, address: 192.0.2.22, privateAddress: 10.0.0.22, roles: [worker]}}
"""


AUTHENTICATION = """\
apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
  - issuer: {url: https://login.example.com, audiences: [kubernetes]}
    claimMappings: {username: {claim: sub, prefix: "oidc:"}}
"""
PASSWORD = "correct-horse-battery"
BUCKET_SECRET = "wJalr-bucket-secret"
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIUam7HZe8I7OzT+RwqfvRA8GyK2skwCgYIKoZIzj0EAwIw
FjEUMBIGA1UEAwwLcmVnaXN0cnkgQ0EwIBcNMjYxMTI1MTYxODQ3WhgPMjEyNjEx
MDExNjE4NDdaMBYxFDASBgNVBAMMC3JlZ2lzdHJ5IENBMFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAE9UlVT5MxY0GDZTNgk6zpHQ9NghxDCc7QdnBXpGmxTFepakBC
poa9sPvHdzkaaRaYgJTY0oCk+XV/Oia35lTG6KNTMFEwHQYDVR0OBBYEFM4Y9l+y
0L5K8ufsjTFidTAEIt3kMB8GA1UdIwQYMBaAFM4Y9l+y0L5K8ufsjTFidTAEIt3k
MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAPn/q5p0c2V/zsU8
WyvQZv+FNw4ZM2XyQEmmMRyyouWCAiAEYWGPdBd2UsbOuvfZRqw6KIJaYrSwlHk3
Kcn0p3uNmg==
-----END CERTIFICATE-----
"""
"""The CA of a registry."""
MORE = {
    "docker": """\
  docker: {logMaxSize: 10m, logMaxFiles: 5, dataRoot: /srv/docker, liveRestore: false}
""",
    "containerd": """\
    - {host: quay.io, mirrors: ["https://registry.example.com:5000/v2/quay"]}
  source: upstream
""",
}
"""What only one of the runtimes takes."""


@dataclass(frozen=True)
class Scenario:
    """One cluster to render."""

    name: str
    """Also the folder of its golden files."""
    version: str
    runtime: str
    text: str
    like: str | None = None
    """The scenario before it whose golden files it has too, but for those that differ."""

    @property
    def minor(self) -> str:
        """1.36 for 1.36.x."""
        return self.version.rpartition(".")[0]


# One release stands for its minor: the others' files differ only in versions. test_binaries.py has been given
# real programs of these, but for 1.37.
SCENARIOS = [
    Scenario("1.36-docker", "1.36.3", "docker", PLAIN),
    Scenario("1.37-docker", "1.37.2", "docker", PLAIN, like="1.36-docker"),
    Scenario("1.35-docker", "1.35.6", "docker", PLAIN, like="1.36-docker"),
    Scenario("1.34-docker", "1.34.9", "docker", PLAIN, like="1.35-docker"),
    Scenario("1.36-docker-full", "1.36.3", "docker", FULL, like="1.36-docker"),
    Scenario("1.36-containerd", "1.36.3", "containerd", PLAIN, like="1.36-docker"),
    Scenario("1.37-containerd", "1.37.2", "containerd", PLAIN, like="1.36-containerd"),
    Scenario("1.35-containerd", "1.35.6", "containerd", PLAIN, like="1.36-containerd"),
    Scenario("1.34-containerd", "1.34.9", "containerd", PLAIN, like="1.35-containerd"),
    Scenario(
        "1.36-containerd-full",
        "1.36.3",
        "containerd",
        FULL.replace("network: {{", "network: {{plugin: flannel, kubeProxyMode: nftables, ").replace(
            'endpoint: "api.example.com:8443"', "virtualIP: 10.0.0.100"
        ),
        like="1.36-containerd",
    ),
]


@dataclass(frozen=True)
class RenderedFile:
    """A file as a host would get it."""

    host: str
    component: str
    dest: str
    content: bytes
    mode: str
    owner: str
    group: str
    secret: bool
    restarts: tuple[str, ...]
    template: str | None
    """Its template in the role; None for copies."""

    @property
    def golden(self) -> Path:
        """Where its golden file is in the scenario's folder."""
        name = str(self.template).removesuffix(".j2")
        registry = Path(self.dest).parent.name.replace(":", "_") if name == "hosts.toml" else ""
        return Path(self.host) / self.component / registry / name

    @property
    def text(self) -> str:
        """The content of a text file."""
        return self.content.decode()

    def __repr__(self) -> str:
        return f"{self.host}:{self.dest}"


class Rendered:
    """Everything that the roles would send to the hosts of one scenario."""

    def __init__(
        self, scenario: Scenario, plan: ClusterPlan, inventory: Path, calls: dict[str, list[dict]]
    ) -> None:
        self.scenario = scenario
        self.plan = plan
        self.inventory = inventory
        self.calls = calls
        found = [file for host in calls for request in self.requests(host) for file in _files(host, request)]
        self.files = list({(file.host, file.component, file.dest): file for file in found}.values())
        """The last version of each file; a kubelet that joins gets its bootstrap kubeconfig before."""

    def arguments(self, host: str, action: str) -> list[dict]:
        """The arguments of every call of one module on one host, in order."""
        return [call["arguments"] for call in self.calls.get(host, []) if call["action"] == action]

    def requests(self, host: str) -> list[dict]:
        """What the ``component`` module would get on one host."""
        return self.arguments(host, "component")

    def file(self, host: str, dest: str) -> RenderedFile:
        """One file of one host."""
        return next(file for file in self.files if (file.host, file.dest) == (host, dest))

    @property
    def services(self) -> list[RenderedFile]:
        """Unit files of services, without drop-ins and those that a timer starts."""
        timed = {
            file.dest.replace(".timer", ".service") for file in self.files if file.dest.endswith(".timer")
        }
        return [file for file in self.files if file.dest.endswith(".service") and file.dest not in timed]


def _files(host: str, request: dict) -> list[RenderedFile]:
    return [
        RenderedFile(
            host=host,
            component=request["name"],
            dest=file["dest"],
            content=base64.b64decode(file["content"]),
            mode=file["mode"],
            owner=file["owner"],
            group=file["group"],
            secret=file["secret"],
            restarts=tuple(file["restarts"]),
            template=file["template"],
        )
        for file in request["files"]
    ]


@dataclass(frozen=True)
class Artifact:
    """A file to install that was never fetched."""

    path: Path
    sha256: str
    url: str | None = None


def artifacts(plan: ClusterPlan) -> dict[str, Artifact]:
    """Made-up files for everything that the release installs."""
    release = plan.release
    files = [*release.binaries.values(), *release.cni_plugins.values()]
    files += [image.artifact for image in plan.images(release.arch)]
    files.append(release.crictl)
    return {
        file.key: Artifact(Path("/cache") / file.key, hashlib.sha256(file.key.encode()).hexdigest())
        for file in files
    }


def render(scenario: Scenario, folder: Path) -> Rendered:
    """Render the inventory of a scenario, and with it what the roles would send.

    Args:
        scenario: The cluster.
        folder: Empty; gets the cluster file, its state, the inventory and what was recorded.
    """
    plan = render_only_inventory(scenario, folder)
    inventory = folder / "inventory"
    return Rendered(scenario, plan, inventory, play(folder, inventory, {}))


def render_only_inventory(scenario: Scenario, folder: Path) -> ClusterPlan:
    """Write the cluster file of a scenario, its state, and ``inventory``."""
    cluster_file = folder / "cluster.yaml"
    cluster_file.write_text(
        scenario.text.format(
            version=scenario.version, runtime=scenario.runtime, more=MORE[scenario.runtime].rstrip()
        )
    )
    (folder / "registry-ca.crt").write_text(CERTIFICATE)
    (folder / "users.yaml").write_text(AUTHENTICATION)
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o600)
    (folder / "bucket-secret").write_text(BUCKET_SECRET)
    (folder / "bucket-secret").chmod(0o600)
    plan = load_plan(cluster_file)
    state = State.beside(cluster_file, plan.config.name)
    state.create()
    ensure_pki(plan, state)
    write_logins(read_logins(plan.config.runtime.registries, folder), state)
    write_proxy(plan, state)
    write_store(read_store(plan, folder), state)
    write_inventory(build_inventory(plan, state, artifacts(plan)), folder / "inventory")
    return plan


def play(
    folder: Path, inventory: Path, variables: dict[str, str], *options: str, site: Path | None = None
) -> dict[str, list[dict]]:
    """Run the real playbooks and roles for master1 and worker1, with modules that only write down.

    Args:
        folder: Gets Ansible's files and what was recorded.
        inventory: The inventory.
        variables: Win over those of the inventory.
        options: More options of ansible-playbook.
        site: Another playbook than ``playbooks/site.yml``.

    Returns:
        Every call of a module (action, arguments) by host, in order.
    """
    record = folder / "record"
    record.mkdir()
    playbooks = folder / "playbooks"  # without the folders of plugins beside them: the recorder's are used
    playbooks.mkdir()
    for path in (ROOT / "playbooks").glob("*.yml"):
        shutil.copy(path, playbooks)
    config = folder / "ansible.cfg"
    config.touch()
    environment = {
        "ANSIBLE_ACTION_PLUGINS": f"{RECORDER}:{ROOT / 'playbooks/action_plugins'}",
        "ANSIBLE_CONFIG": str(config),
        "ANSIBLE_FILTER_PLUGINS": str(ROOT / "playbooks/filter_plugins"),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "True",
        "ANSIBLE_LIBRARY": str(ROOT / "playbooks/library"),
        "ANSIBLE_MODULE_UTILS": str(ROOT / "playbooks/module_utils"),
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PIPELINING": "True",
        "ANSIBLE_ROLES_PATH": str(ROOT / "roles"),
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(RECORDER),
        "RECORD_DIR": str(record),
    }
    local = variables | {
        "ansible_connection": "local",
        "ansible_become": False,
        "ansible_python_interpreter": sys.executable,
    }
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory)]
    command += [
        "-e",
        json.dumps(local),
        "--limit",
        ",".join(HOSTS),
        *options,
        str(site or playbooks / "site.yml"),
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    return {path.stem: list(map(json.loads, path.read_text().splitlines())) for path in record.iterdir()}
