"""What the steps of a command share: what the command was given, and what its steps found so far."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from k8sbootstrap.artifacts.fetch import Fetched
from k8sbootstrap.artifacts.own_images import OwnImage
from k8sbootstrap.hosts.host_keys import Ask
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.inventory.last_run import release_of
from k8sbootstrap.inventory.model import Inventory
from k8sbootstrap.pki.choice import Choice
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run.session import Run
from k8sbootstrap.state import State
from k8sbootstrap.survey.authorities import Allow
from k8sbootstrap.survey.todo import HostFindings, Survey
from k8sbootstrap.survey.upgrade.observe import Running


@dataclass(kw_only=True)
class Preparation:
    """What is prepared on the controller: files to install, certificates, the inventory."""

    plan: ClusterPlan
    cluster_file: Path
    """Paths in it are relative to its folder."""
    state: State
    """Where certificates and pinned hashes are kept."""
    inventory_folder: Path
    """Where the inventory is written to."""

    files: Mapping[str, Fetched] = field(default_factory=dict)
    """Files to install, by ``ArtifactFile.key``."""
    repositories: Mapping[str, Path] = field(default_factory=dict)
    """Folders with packages of a bundle, by system, such as debian12/amd64."""
    node_images: Sequence[OwnImage] = ()
    """The user's images for all nodes."""
    registry_images: Sequence[OwnImage] = ()
    """The user's images for the cluster's own registry alone."""
    logins: dict[str, str] = field(default_factory=dict)
    """Logins to image registries, by host."""
    choice: Choice = field(default_factory=Choice)
    """Which certificates are made again."""
    inventory: Inventory = field(default_factory=lambda: Inventory({}, {}, {}, {}))

    @property
    def base(self) -> Path:
        """The folder of cluster.yaml."""
        return self.cluster_file.resolve().parent


@dataclass(frozen=True)
class RunOptions:
    """What the user chose for one ``up`` or ``plan``."""

    accept_new_host_keys: bool = False
    ask: Ask | None = None
    """Asks about unknown host keys; None refuses them."""
    allow_authorities: Allow | None = None
    """Decides whether certificate authorities are taken over from masters; None takes none."""
    ignore_preflight: Collection[str] = ()
    """Names of checks, of preflight's and of upgrades', that may fail."""
    limit: Collection[str] = ()
    """Names of the only hosts to change; all, if empty."""
    restore: bool = False
    """Whether the backup that the state directory was given is to be restored."""
    confirm: Callable[[Survey], None] | None = None
    """Shows what is to do and lets the user stop it with KeyboardInterrupt; None asks nobody."""


@dataclass(kw_only=True)
class RunContext(Preparation):
    """A run that compares hosts with cluster.yaml, and changes them or says what it would change."""

    run: Run
    pool: Pool
    options: RunOptions
    has_no_inventory: bool
    """Whether no run from this machine has written an inventory before."""
    last_release: str
    """Kubernetes release of the last run's inventory; empty where it does not say."""

    found: HostFindings = field(default_factory=lambda: HostFindings({}))
    """The answers of hosts."""
    restoring: str = ""
    """Id of a restore of etcd that is a part of this run; empty for none."""
    running: Running | None = None
    """What the cluster runs now; None until an upgrade makes it worth asking."""
    todo: Survey = field(default_factory=lambda: Survey({}))
    """What is to do."""

    @property
    def members(self) -> list[str]:
        """Hosts that belong to the cluster, as their records say."""
        name = self.plan.config.name
        return [host for host, found in self.found.findings.items() if found.cluster == name]

    @property
    def is_first(self) -> bool:
        """Whether it is the cluster's first run. It is not where only this machine knows of none."""
        return self.has_no_inventory and not self.members

    @classmethod
    def begin(
        cls,
        plan: ClusterPlan,
        cluster_file: Path,
        run: Run,
        pool: Pool,
        options: RunOptions,
        *,
        state: State | None = None,
    ) -> Self:
        """The context of a run that has done nothing yet.

        Args:
            plan: The desired state.
            cluster_file: cluster.yaml.
            run: The run; its state has the inventory of the last one.
            pool: Connections to the hosts.
            options: What the user chose.
            state: Where the run writes, if not to its own state.
        """
        last = run.state.inventory
        written = state or run.state
        return cls(
            plan=plan,
            cluster_file=cluster_file,
            state=written,
            inventory_folder=written.inventory,
            run=run,
            pool=pool,
            options=options,
            has_no_inventory=not last.exists(),
            last_release=release_of(last),
        )
