"""Rules about certificates: expired, of another CA, or for other addresses."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtensionOID

from k8sbootstrap.checks.doctor.case import Case, HostView
from k8sbootstrap.checks.doctor.rule import Findings, found, on
from k8sbootstrap.formats.text import count
from k8sbootstrap.survey.status.models import EXPIRY_WARNING

_RENEW = "Run: k8sbootstrap up"
_NO_RENEWAL = "k8sbootstrap up does not renew CAs. See: k8sbootstrap certs status"
_RENEWAL = "k8sbootstrap-certificates"
_SERVERS = (
    "/etc/kubernetes/pki/apiserver.crt",
    "/etc/etcd/pki/server.crt",
    "/etc/etcd/pki/peer.crt",
    "/var/lib/kubelet/pki/kubelet-serving.crt",
)
"""Certificates that must be valid for their host's address."""
_PKI = "/etc/kubernetes/pki/"
_OURS = frozenset(
    f"{_PKI}{name}.crt"
    for name in (
        "ca",
        "front-proxy-ca",
        "etcd/ca",
        "apiserver",
        "apiserver-kubelet-client",
        "apiserver-etcd-client",
        "front-proxy-client",
    )
)
"""What the cluster has in that folder; owners may have files of their own there."""


def expired(case: Case) -> Findings:
    """A certificate has expired, or is not valid yet.

    Fix: Run `k8sbootstrap up`, which issues new ones. It does not replace CAs: `k8sbootstrap certs rotate-ca`
    does.
    """
    for view, path, each in _all(case):
        now = _now(view)
        if each.not_valid_after_utc < now:
            ended = each.not_valid_after_utc
            yield found(
                view.name,
                f"{path} expired on {ended:%Y-%m-%d}",
                _NO_RENEWAL if is_authority(each) else _RENEW,
                evidence=[f"{path}: {_subject(each)}, valid until {ended:%Y-%m-%d %H:%M:%S} UTC"],
                since=ended.timestamp(),
            )
        elif each.not_valid_before_utc > now:
            begins = each.not_valid_before_utc
            yield found(
                view.name,
                f"{path} is not valid before {begins:%Y-%m-%d %H:%M} UTC",
                "Set the clock of the host right, or wait until then.",
                evidence=[f"{path}: {_subject(each)}, valid from {begins:%Y-%m-%d %H:%M:%S} UTC"],
            )


def wrong(case: Case) -> Findings:
    """A certificate is of a CA that is none of the cluster's, or is not valid for its host's address.

    Fix: Run `k8sbootstrap up`, which issues the right one.
    """
    authorities = _authorities(case)
    for view, path, each in _all(case):
        if not authorities or _now(view) > each.not_valid_after_utc:
            continue
        if path.startswith(_PKI) and path not in _OURS:
            continue
        if not _is_signed(each, authorities):
            issuer = each.issuer.rfc4514_string()
            yield found(
                view.name,
                f"{path} is of a CA that is not the cluster's",
                _RENEW,
                evidence=[f"{path}: {_subject(each)}, signed by {issuer}"],
            )
        elif path in _SERVERS and str(view.host.private_address) not in (sans := _addresses(each)):
            yield found(
                view.name,
                f"{path} is not valid for {view.host.private_address}",
                _RENEW,
                evidence=[f"{path}: {_subject(each)}, for {', '.join(sans) or 'no address'}"],
            )


def renewal_off(case: Case) -> Findings:
    """A master does not renew its certificates: its timer does not run, or failed the last time.

    Fix: Run `systemctl start k8sbootstrap-certificates.timer` there. If renewing fails, `journalctl -u
    k8sbootstrap-certificates -n 50` says why.
    """
    for view in case.on_each(lambda host: host.is_master):
        timer, last = view.unit(f"{_RENEWAL}.timer"), view.unit(_RENEWAL)
        off = timer.known and not timer.active
        failed = last.known and last.state.startswith("failed")
        if not off and not failed:
            continue
        name, unit = (f"{_RENEWAL}.timer", timer) if off else (f"{_RENEWAL}.service", last)
        start = on(view.name, f"systemctl start {name}") if unit.loaded else "Run: k8sbootstrap up"
        yield found(
            view.name,
            f"does not renew its certificates: {name} is {unit.state}",
            start if off else f"{start}. If it fails again, run: journalctl -u {_RENEWAL} -n 50",
            evidence=[f"systemctl: {name} is {unit.state}"],
            since=view.left(name.removesuffix(".service")),
            harmless=True,
        )


def expiring(case: Case) -> Findings:
    """A certificate has less than 30 days left.

    Fix: Run `k8sbootstrap certs renew` ([certificates](certificates.md)).
    """
    for view, path, each in _all(case):
        left = each.not_valid_after_utc - _now(view)
        if timedelta() < left < EXPIRY_WARNING:
            yield found(
                view.name,
                f"{path} expires in {count(left.days, 'day')}",
                _NO_RENEWAL if is_authority(each) else "Run: k8sbootstrap certs renew",
                evidence=[f"{path}: {_subject(each)}, valid until {each.not_valid_after_utc:%Y-%m-%d}"],
                harmless=True,
            )


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it is a CA's."""
    try:
        found = certificate.extensions.get_extension_for_oid(ExtensionOID.BASIC_CONSTRAINTS).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return isinstance(found, x509.BasicConstraints) and found.ca


def _all(case: Case) -> Iterator[tuple[HostView, str, x509.Certificate]]:
    for view in case.hosts.values():
        for path, certificates in view.certificates.items():
            for certificate in certificates:
                yield view, path, certificate


def _now(view: HostView) -> datetime:
    return datetime.fromtimestamp(view.look.answered, UTC)


def _authorities(case: Case) -> list[x509.Certificate]:
    """The cluster's CAs: those that most of the masters have."""
    masters = case.on_each(lambda host: host.is_master)
    seen = Counter(
        certificate
        for view in masters
        for certificate in {
            each
            for path, certificates in view.certificates.items()
            if path.endswith("ca.crt")
            for each in certificates
            if is_authority(each)
        }
    )
    return [certificate for certificate, number in seen.items() if 2 * number > len(masters)]


def _is_signed(certificate: x509.Certificate, authorities: list[x509.Certificate]) -> bool:
    if is_authority(certificate):
        return certificate in authorities
    return any(_has_signed(authority, certificate) for authority in authorities)


def _has_signed(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _subject(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()


def _addresses(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    assert isinstance(found, x509.SubjectAlternativeName)  # noqa: S101 - by its OID
    return sorted(str(ip_address(str(each))) for each in found.get_values_for_type(x509.IPAddress))
