"""Rules about the cluster's DNS."""

from collections.abc import Iterator

from k8sbootstrap.config.draft import Draft
from k8sbootstrap.config.rules.finding import Finding


def replicas(draft: Draft) -> Iterator[Finding]:
    """One decides the number of pods, and can."""
    dns = draft.dns
    if dns is None or dns.autoscale is None:
        return
    place = ("dns", "autoscale")
    if dns.replicas is not None:
        yield Finding(place, "would change the number that dns.replicas says", "remove one of the two")
    if dns.autoscale.max is not None and dns.autoscale.max < dns.autoscale.min:
        yield Finding((*place, "max"), f"is less than min, {dns.autoscale.min}", "use a greater number")


def without_coredns(draft: Draft) -> Iterator[Finding]:
    """What goes with CoreDNS comes with it."""
    dns = draft.dns
    if dns is None or dns.name == "coredns":
        return
    for key, is_set in (("autoscale", dns.autoscale is not None), ("nodeLocalCache", dns.node_local_cache)):
        if is_set:
            yield Finding(("dns", key), "goes with CoreDNS, and dns.name is none", "remove one of the two")
