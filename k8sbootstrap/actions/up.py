"""``up``: from bare hosts to a working cluster, as the list of its steps."""

from pathlib import Path

from k8sbootstrap.actions.changing import changing
from k8sbootstrap.actions.context import RunContext, RunOptions
from k8sbootstrap.actions.install import ask_user, install, is_to_do, remember_hosts, require_all, verify
from k8sbootstrap.actions.observe import (
    compare_hosts,
    lacks_authorities,
    look,
    preflight,
    take_authorities,
)
from k8sbootstrap.actions.prepare import PREPARE
from k8sbootstrap.actions.rebuild import RESTORING, UpContext, check, is_at
from k8sbootstrap.actions.step import Step, take
from k8sbootstrap.actions.upgrade import (
    add_upgrade,
    changes_etcd_data,
    check_upgrade,
    is_other_release,
    is_upgrade,
    must_be_checked,
    save_etcd,
)
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run.progress import Reporter
from k8sbootstrap.run.record import Summary


def is_first(context: RunContext) -> bool:
    """Whether it is the cluster's first run: then bad hosts are found before files are fetched for them."""
    return context.is_first


def is_change(context: RunContext) -> bool:
    """Whether something is to do in a cluster that had runs before."""
    return is_to_do(context) and not context.is_first


UP: tuple[Step[UpContext], ...] = (
    Step("backup", "Backup", check, needed=is_at("copied", "etcd")),
    Step("look", "Look at hosts", look),
    Step("preflight", "Preflight", preflight, needed=is_first),
    Step(
        "authorities",
        "Certificate authorities",
        take_authorities,
        needed=lambda context: context.is_first or lacks_authorities(context),
    ),
    Step("upgrade", "Upgrade checks", check_upgrade, needed=is_other_release, may_fail=True),
    *PREPARE,
    Step("compare", "Compare with cluster.yaml", compare_hosts),
    Step("upgrade", "Upgrade checks", check_upgrade, needed=must_be_checked),
    Step("upgrade_found", "Upgrade", add_upgrade, needed=is_upgrade),
    Step("preflight", "Preflight", preflight, needed=is_change),
    Step("authorities", "Certificate authorities", take_authorities, needed=is_change),
    Step("confirm", "", ask_user, needed=is_to_do),
    Step("snapshot", "Snapshot of etcd", save_etcd, needed=changes_etcd_data),
    Step("remember", "", remember_hosts),
    *RESTORING,
    Step("install", "", install, needed=is_to_do),
    Step("verify", "Verify", verify, needed=is_to_do),
    Step("require_all", "", require_all),
)
"""Nothing on a host changes before ``confirm``."""


def run_up(plan: ClusterPlan, cluster_file: Path, options: RunOptions, reporter: Reporter) -> Summary:
    """Bring the cluster to the state that ``plan`` describes and see that it works.

    Hosts are looked at first, and only roles that have something to do are run, on the hosts where they have.
    Running it again goes on from wherever the last run ended, and changes nothing where all is right. That is
    also true of a restore from a backup: see ``restoration.take_in``.

    Args:
        plan: The desired state.
        cluster_file: cluster.yaml; the state directory is beside it.
        options: What the user chose.
        reporter: Shows what happens.

    Returns:
        How it went, host by host.

    Raises:
        LockedError: Another command is changing this cluster.
        PreflightError: A host is not fit, or what can't be changed would be; nothing was changed.
        HostError: A host failed or could not be reached; the others went on as far as they could.
        HookError: A hook failed that must not.
        VerifyError: All is installed, but the cluster does not work.
        InterruptedRunError: The user stopped it.
        K8sBootstrapError: Anything else that a user can fix.
    """
    with changing(UpContext, "up", plan, cluster_file, reporter, options=options) as context:
        context.recall()
        take(UP, context, context.run.step)
    return context.run.result
