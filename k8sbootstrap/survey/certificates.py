"""Every certificate that a cluster lives by: on its hosts, and in the state directory of this machine."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from k8sbootstrap.errors import StateError
from k8sbootstrap.formats.text import printable
from k8sbootstrap.hosts.answers import Request
from k8sbootstrap.hosts.pool import Hosts, Pool
from k8sbootstrap.pki.kubeconfig import client_pair
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State

ON_HOSTS = (
    "/etc/kubernetes/pki/*.crt",
    "/etc/kubernetes/pki/etcd/*.crt",
    "/etc/kubernetes/*.crt",
    "/etc/kubernetes/*.conf",
    "/etc/etcd/pki/*.crt",
    "/etc/haproxy/*.crt",
    "/etc/keepalived/*.crt",
    "/etc/docker/registry/pki/*.crt",
    "/var/lib/kubelet/pki/kubelet-client-current.pem",
    "/var/lib/kubelet/pki/kubelet-serving.crt",
)
"""Files with certificates that can expire."""
HERE = "this machine"
"""Stands for the host's name of what is in the state directory."""
_LONGEST = 500


@dataclass(frozen=True)
class FoundCertificate:
    """One certificate, and where it is. The field names are those of the JSON output."""

    host: str
    path: str
    """Its file; of a kubeconfig its client certificate."""
    subject: str
    """As in ``CN=system:node:worker1,O=system:nodes``."""
    issuer: str
    sans: tuple[str, ...]
    """DNS names and IP addresses."""
    authority: bool
    """Whether it is a CA's."""
    not_before: datetime
    not_after: datetime
    days_left: int
    """Whole days until it expires; negative when it has."""


@dataclass(frozen=True)
class Certificates:
    """All of them."""

    found: tuple[FoundCertificate, ...]
    """Soonest to expire first."""
    lost: Mapping[str, str]
    """Host to why it was not asked."""

    def expiring(self, days: int) -> tuple[FoundCertificate, ...]:
        """Those with less than so many days left."""
        return tuple(each for each in self.found if each.days_left < days)


def look(
    plan: ClusterPlan, pool: Pool, state: State, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Certificates:
    """Find all certificates. Changes nothing.

    Args:
        plan: The cluster.
        pool: Connections to the hosts.
        state: The state directory.
        now: The time from which days are counted.
    """
    hosts = Hosts(pool, (host.ssh for host in plan.hosts))
    answers = hosts.ask_all({host.name: Request(certificates=ON_HOSTS) for host in plan.hosts})
    at = now()
    found = [
        each
        for host, answer in answers.items()
        for path, pem in answer.certificates.items()
        for each in read(host, path, pem, at)
    ]
    found += _in_state(state, at)
    found.sort(key=lambda each: (each.not_after, each.host, each.path))
    return Certificates(tuple(found), dict(hosts.lost))


def _in_state(state: State, at: datetime) -> Iterator[FoundCertificate]:
    for path in sorted(state.pki.glob("**/*.crt")) if state.pki.is_dir() else ():
        yield from read(HERE, str(path), path.read_text(encoding="ascii", errors="replace"), at)
    if state.kubeconfig.exists():
        try:
            pem = client_pair(state.kubeconfig.read_bytes()).certificate_pem.decode()
        except ValueError as exc:
            raise StateError(f"{state.kubeconfig} is damaged: {exc}") from exc
        yield from read(HERE, str(state.kubeconfig), pem, at)


def read(host: str, path: str, pem: str, at: datetime) -> list[FoundCertificate]:
    """The certificates in one file; none where it has none that can be read.

    Args:
        host: Where it is.
        path: Its path there.
        pem: Certificates in PEM form.
        at: The time from which days are counted; timezone-aware.
    """
    try:
        return [_found(host, path, each, at) for each in x509.load_pem_x509_certificates(pem.encode())]
    except ValueError:
        return []


def _found(host: str, path: str, certificate: x509.Certificate, at: datetime) -> FoundCertificate:
    end = certificate.not_valid_after_utc
    return FoundCertificate(
        host=host,
        path=printable(path)[:_LONGEST],
        subject=printable(certificate.subject.rfc4514_string())[:_LONGEST],
        issuer=_common_name(certificate.issuer),
        sans=tuple(printable(san)[:_LONGEST] for san in _sans(certificate)),
        authority=_is_authority(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=end,
        days_left=(end - at).days,
    )


def _common_name(name: x509.Name) -> str:
    names = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return printable(str(names[0].value))[:_LONGEST] if names else ""


def _sans(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    assert isinstance(found, x509.SubjectAlternativeName)  # noqa: S101 - by its OID
    names = found.get_values_for_type(x509.DNSName)
    return sorted(names) + sorted(str(each) for each in found.get_values_for_type(x509.IPAddress))


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        found = certificate.extensions.get_extension_for_oid(ExtensionOID.BASIC_CONSTRAINTS).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return isinstance(found, x509.BasicConstraints) and found.ca
