"""What rules get to see: the plan, what hosts and the API said, and what can be read from that."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from cryptography import x509

from k8sbootstrap.hosts.answers import Answer, HttpAnswer
from k8sbootstrap.plan.components import COMPONENTS, Component, components_of
from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.survey.cluster.parse import EtcdStatus, etcd_status
from k8sbootstrap.survey.cluster.requests import ENDPOINT_STATUS, UNITS
from k8sbootstrap.survey.doctor import parse, requests
from k8sbootstrap.survey.doctor.look import ClusterLook, HostLook
from k8sbootstrap.survey.doctor.objects import Deployment, Event, Node, Pod, items
from k8sbootstrap.survey.facts import Listener, Route

BY_NAME = {component.name: component for component in COMPONENTS}
_NOTHING = parse.Unit(loaded=False, state="unknown", result="", exit_status="", restarts=0, since=None)

_NOW = 120.0
"""Seconds within which something goes wrong now."""
_ENDING = 15.0
"""Seconds that something takes to end."""


@dataclass(frozen=True)
class HostView:
    """A host that answered."""

    plan: ClusterPlan
    host: HostPlan
    look: HostLook

    @property
    def name(self) -> str:
        """Its name."""
        return self.host.name

    @property
    def answer(self) -> Answer:
        """All that it said."""
        return self.look.answer

    def printed(self, key: str) -> str:
        """What a command printed; empty where it failed or was not run."""
        ran = self.answer.run.get(key)
        return ran.stdout if ran is not None and ran.rc == 0 else ""

    def http(self, key: str) -> HttpAnswer | None:
        """What a request brought; None where it was not made."""
        return self.answer.http.get(key)

    @cached_property
    def components(self) -> dict[str, Component]:
        """Those that doctor looks at, by name."""
        return {each.name: each for each in components_of(self.plan, self.host) if each.observed}

    @cached_property
    def units(self) -> dict[str, parse.Unit]:
        """Units by name without ``.service``."""
        return parse.read_units(self.printed(UNITS))

    def unit(self, name: str) -> parse.Unit:
        """A unit; one of which nothing is known where the host does not name it."""
        return self.units.get(name, _NOTHING)

    def journal(self, component: str) -> list[parse.JournalLine]:
        """The last lines of a component."""
        return parse.read_journal(self.printed(requests.journal_key(component)))

    def last_trouble(self, component: str) -> tuple[str, ...]:
        """The last line in which a component speaks of something that went wrong, as evidence.

        It is from when the component ended, or from now: what went wrong earlier has been overcome.
        """
        since, up = self.unit(component).since, parse.uptime(self.printed(requests.UPTIME))
        now = self.answer.clock[1]
        ended = now - (up - since) if up is not None and since is not None else now
        began = min(now - _NOW, ended - _ENDING)
        lines = [line for line in self.journal(component) if line.is_trouble and line.at > began]
        return (f"journal of {component}: {lines[-1].words}",) if lines else ()

    def left(self, component: str) -> float | None:
        """When a unit was last active, or changed, in seconds since 1970; None where that is not known."""
        up, since = parse.uptime(self.printed(requests.UPTIME)), self.unit(component).since
        return self.look.answered - (up - since) if up is not None and since is not None else None

    @cached_property
    def disks(self) -> list[parse.Disk]:
        """The file systems of folders that the cluster needs."""
        text = self.answer.run.get(requests.DISKS)
        return parse.read_disks(text.stdout) if text else []  # it fails where one folder is missing

    @cached_property
    def listeners(self) -> list[Listener]:
        """Programs that listen at TCP ports."""
        return parse.listeners(self.printed(requests.SOCKETS))

    @cached_property
    def routes(self) -> list[Route] | None:
        """Routes; None where they are not known."""
        return parse.routes(self.printed(requests.ROUTES))

    @cached_property
    def rules(self) -> list[str]:
        """Packet rules, as iptables-save prints them."""
        return self.printed(requests.RULES).splitlines()

    @cached_property
    def certificates(self) -> dict[str, list[x509.Certificate]]:
        """Certificates by path."""
        return {path: _certificates(pem) for path, pem in self.answer.certificates.items()}

    @cached_property
    def etcd(self) -> EtcdStatus | None:
        """What its etcd member says of itself; None where it says nothing."""
        ran = self.answer.run.get(ENDPOINT_STATUS)
        try:
            return etcd_status(ran) if ran else None
        except ValueError:
            return None


@dataclass(frozen=True)
class Case:
    """The cluster under examination."""

    plan: ClusterPlan
    look: ClusterLook

    @cached_property
    def hosts(self) -> dict[str, HostView]:
        """Every host that answered, in the plan's order."""
        return {
            host.name: HostView(self.plan, host, self.look.hosts[host.name])
            for host in self.plan.hosts
            if host.name in self.look.hosts
        }

    def having(self, component: str) -> Iterator[HostView]:
        """Those of them that run a component."""
        return (view for view in self.hosts.values() if component in view.components)

    def on_each(self, wanted: Callable[[HostPlan], bool]) -> list[HostView]:
        """Those of them with a property."""
        return [view for view in self.hosts.values() if wanted(view.host)]

    @cached_property
    def nodes(self) -> dict[str, Node]:
        """Node objects by name; empty where the API said nothing."""
        return {node.metadata.name: node for node in items(self._api(requests.NODES), Node)}

    @cached_property
    def pods(self) -> list[Pod]:
        """All pods."""
        return list(items(self._api(requests.PODS), Pod))

    @cached_property
    def deployments(self) -> dict[str, Deployment]:
        """Deployments in kube-system by name."""
        return {each.metadata.name: each for each in items(self._api(requests.DEPLOYMENTS), Deployment)}

    @cached_property
    def events(self) -> list[Event]:
        """Warnings."""
        return list(items(self._api(requests.EVENTS), Event))

    def events_of(self, kind: str, name: str) -> list[Event]:
        """Warnings about an object, the newest last.

        Args:
            kind: As in Pod.
            name: NAMESPACE/NAME.
        """
        found = [
            event
            for event in self.events
            if (event.involved_object.kind, f"{event.involved_object.namespace}/{event.involved_object.name}")
            == (kind, name)
        ]
        return sorted(found, key=lambda event: epoch(event.last_timestamp) or 0)

    def _api(self, key: str) -> str:
        answer = self.look.api.get(key)
        return answer.stdout if answer is not None and answer.rc == 0 else ""


def epoch(moment: datetime | None) -> float | None:
    """Seconds since 1970 of a time of Kubernetes; None of one without a time zone."""
    return moment.timestamp() if moment and moment.tzinfo else None


def _certificates(pem: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        return []
