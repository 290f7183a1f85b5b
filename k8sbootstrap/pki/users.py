"""Certificates of users: people and programs that use the API. Kept without their keys, to list them."""

import datetime as dt
from dataclasses import dataclass

from cryptography import x509 as lib
from cryptography.x509.oid import NameOID

from k8sbootstrap import private_files
from k8sbootstrap.errors import StateError
from k8sbootstrap.pki import table, x509
from k8sbootstrap.pki.store import Store
from k8sbootstrap.state import State

LONGEST = 64
"""Characters of a name in a certificate."""
RESERVED = "system:"
"""What names begin with that Kubernetes keeps for its own components."""


@dataclass(frozen=True)
class NewUser:
    """A user who is to get a certificate."""

    name: str
    groups: tuple[str, ...]
    life: dt.timedelta
    """How long the certificate lasts, unless the CA ends before."""


@dataclass(frozen=True)
class User:
    """A certificate that was issued to a user. The field names are those of the JSON output."""

    name: str
    groups: tuple[str, ...]
    issued: dt.datetime
    expires: dt.datetime
    serial: str
    """Serial number, in hexadecimal digits."""
    days_left: int
    """Whole days until it expires; negative when it has."""


def problem_with(name: str) -> str:
    """Why a user or a group can't have this name; empty when it can."""
    if not name or len(name) > LONGEST:
        return f"it must have 1 to {LONGEST} characters"
    if not name.isprintable() or name != name.strip():
        return "it must have no control characters, and no spaces at its ends"
    if name.startswith(RESERVED):
        return (
            f"names that begin with {RESERVED} are Kubernetes' own. Administrators are the group "
            "kubeadm:cluster-admins"
        )
    return ""


def issue_user(state: State, user: NewUser) -> x509.Pair:
    """Issue a client certificate to a user, and note it.

    Raises:
        StateError: The cluster's CA can't sign, or the certificate can't be noted.
        ValueError: A name can't be used.
    """
    for each in (user.name, *user.groups):
        if problem := problem_with(each):
            raise ValueError(f"{each}: {problem}")
    subject = table.Subject(user.name, tuple(dict.fromkeys(user.groups)))
    pair = x509.issue(subject, Store(state).authority(table.CA), user.life)
    path = state.users / f"{pair.certificate.serial_number:x}.crt"
    private_files.write(path, pair.certificate_pem, private_files.PRIVATE, root=state.directory)
    return pair


def issued_users(state: State) -> tuple[User, ...]:
    """What was issued to users, soonest to expire first. What has expired comes last.

    Raises:
        StateError: A file is damaged.
    """
    found = [_user(state, path.name) for path in sorted(state.users.glob("*.crt"))]
    return tuple(sorted(found, key=lambda user: (user.days_left < 0, user.expires, user.serial)))


def _user(state: State, file: str) -> User:
    path = state.users / file
    try:
        certificate = x509.load_certificate(private_files.read(path) or b"")
    except ValueError as exc:
        raise StateError(f"{path} is damaged: {exc}", hint="Move it away.") from exc
    return User(
        name=", ".join(_names(certificate, NameOID.COMMON_NAME)),
        groups=tuple(_names(certificate, NameOID.ORGANIZATION_NAME)),
        issued=x509.issued_at(certificate),
        expires=certificate.not_valid_after_utc,
        serial=f"{certificate.serial_number:x}",
        days_left=(certificate.not_valid_after_utc - x509.now()).days,
    )


def _names(certificate: lib.Certificate, oid: lib.ObjectIdentifier) -> list[str]:
    return [str(each.value) for each in certificate.subject.get_attributes_for_oid(oid)]
