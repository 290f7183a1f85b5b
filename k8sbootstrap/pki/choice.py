"""Which certificates of the table are made again, and why: decided before anything is written."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from k8sbootstrap.pki import table, x509
from k8sbootstrap.pki.store import Store
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State


@dataclass(frozen=True)
class Choice:
    """Which of the certificates that are there are made again."""

    left: dt.timedelta = x509.RENEW_BEFORE
    """Those that are valid for less than this, unless their CA ends no later; and those that are wrong."""
    every: bool = False
    """All, however long they are valid."""
    hosts: frozenset[str] | None = None
    """Those of these hosts alone. None: of all hosts, and those that hosts share."""
    begun: dt.datetime | None = None
    """When this renewal began, to the second: what was made since is not made again."""

    def has(self, entry: table.Leaf | table.Kubeconfig) -> bool:
        """Whether a certificate is one of the chosen hosts'."""
        return self.hosts is None or entry.host in self.hosts

    def is_made(self, pair: x509.Pair) -> bool:
        """Whether this renewal has made a certificate before it was stopped."""
        return self.begun is not None and x509.issued_at(pair.certificate) >= self.begun

    def why(self, entry: table.Leaf | table.Kubeconfig, pair: x509.Pair | None, authority: x509.Pair) -> str:
        """Why a certificate in the state directory is made again, in a few words; empty when it stays.

        Args:
            entry: Its entry in the table.
            pair: What is there; None when it is missing.
            authority: Who signs it.
        """
        if pair is None:
            return "it is missing"
        if not self.has(entry):
            return ""
        if self.is_made(pair):
            return x509.why_renew(pair, entry.subject, authority)
        if self.every:
            return f"it expires on {pair.certificate.not_valid_after_utc:%Y-%m-%d}"
        return x509.why_renew(pair, entry.subject, authority, self.left)


@dataclass(frozen=True)
class Outlook:
    """What a renewal would do with certificates."""

    due: tuple[table.Leaf | table.Kubeconfig, ...]
    """Those that hosts get anew; of the admin kubeconfig, those that this machine does."""
    bounds: Mapping[str, dt.datetime]
    """The common names of CAs that end before a new certificate would, and when they do."""
    useless: tuple[str, ...]
    """Names of certificates that last less than was asked for, and that would last no longer when made again:
    their CA ends then."""


def outlook(plan: ClusterPlan, state: State, choice: Choice, ends: Mapping[str, float]) -> Outlook:
    """See what a renewal would do. Writes nothing.

    Args:
        plan: The cluster.
        state: Where its PKI is.
        choice: What is chosen.
        ends: When the certificates that hosts have end, by name in seconds since 1970; of several hosts the
            first to end. Hosts may have others than the state directory: another machine may have made them.

    Raises:
        StateError: A file is damaged, or an authority is missing or can't sign.
    """
    store, now = Store(state), x509.now()
    authorities = {authority.name: store.authority(authority.name) for authority in table.AUTHORITIES}
    due, useless, used = [], [], set()
    for entry in table.entries(plan):
        if not choice.has(entry):
            continue
        pair, authority_ends = store.pair(entry), authorities[entry.ca].certificate.not_valid_after_utc
        end = pair.certificate.not_valid_after_utc if pair else now
        if entry.name in ends:
            end = dt.datetime.fromtimestamp(ends[entry.name], dt.UTC)
        made = pair is not None and choice.is_made(pair)
        if choice.every or made or (end - now < choice.left and end < authority_ends):
            due.append(entry)
        elif end - now < choice.left:
            useless.append(entry.name)
        else:
            continue
        used.add(entry.ca)
    names = {authority.name: authority.common_name for authority in table.AUTHORITIES}
    bounds = {
        names[name]: authorities[name].certificate.not_valid_after_utc for name in names if name in used
    }
    bounds = {name: end for name, end in bounds.items() if end < now + x509.LEAF_LIFE}
    return Outlook(tuple(due), bounds, tuple(useless))
