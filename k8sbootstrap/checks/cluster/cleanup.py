"""Is everything that verify put into the cluster gone again?"""

from k8sbootstrap.checks.framework import Verdict, failed, passed, skipped
from k8sbootstrap.survey.cluster.facts import Facts


def judge(facts: Facts) -> Verdict:
    """One verdict for the cluster.

    Fix: The next `k8sbootstrap verify` removes what is left.
    """
    if facts.leftover is None:
        return skipped("there was nothing to remove")
    if facts.leftover:
        return failed(facts.leftover)
    return passed("the test pods and their namespace are gone")
