"""Can snapshots of etcd be uploaded?"""

from k8sbootstrap.checks.framework import Verdict, passed, warning
from k8sbootstrap.checks.hosts.base import HostCase


def snapshot_bucket(case: HostCase) -> Verdict:
    """The bucket for snapshots of etcd can be listed from the host. The cluster works without it.

    Fix: Compare `etcd.snapshots.s3` with the store: endpoint, bucket, region, access key and its rights. Or
    let the host reach the store. Until then snapshots stay on the hosts.
    """
    wanted = case.plan.config.etcd.snapshots.s3
    trouble = case.seen[case.host.name].bucket
    if wanted is None or trouble is None:
        return passed("not used on this host")
    if trouble:
        return warning(
            f"the bucket {wanted.bucket} can't be used from here: {trouble}",
            "Correct etcd.snapshots.s3 in cluster.yaml, or the store. Until then snapshots stay on hosts.",
        )
    return passed(f"the bucket {wanted.bucket} can be listed")
