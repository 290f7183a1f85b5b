"""Is everything that verify put into the cluster gone again?"""

from collections.abc import Iterator

from k8sbootstrap.checks.cluster.models import CLUSTER, Check, Verdict, failed, passed, skipped
from k8sbootstrap.survey.cluster.facts import Facts


def judge(facts: Facts) -> Iterator[Verdict]:
    """One verdict for the cluster."""
    if facts.leftover is None:
        yield skipped(CLUSTER, "there was nothing to remove")
    elif facts.leftover:
        yield failed(CLUSTER, facts.leftover)
    else:
        yield passed(CLUSTER, "the test pods and their namespace are gone")


CHECK = Check("cleanup", "verify leaves nothing behind", judge)
