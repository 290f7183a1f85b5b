"""Certificate authorities that a master says it has. They are checked before they are taken."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes

from k8sbootstrap.pki import table, x509
from k8sbootstrap.pki.table import SERVICE_ACCOUNT

AUTHORITIES = tuple(authority.name for authority in table.AUTHORITIES)
KEPT = (
    *(f"{name}{ending}" for name in AUTHORITIES for ending in (".crt", ".key")),
    f"{SERVICE_ACCOUNT}.pub",
    f"{SERVICE_ACCOUNT}.key",
)
"""Files that every master has under /etc/kubernetes/pki, and that cannot be made again."""
MAX_BYTES = 64 << 10
"""Most that is read of one such file; those that k8sbootstrap makes have less than 2,000."""
_ONE_KEY = re.compile(rb"\s*-----BEGIN ([A-Z ]*KEY)-----[A-Za-z0-9+/=\s]+-----END \1-----\s*")


@dataclass(frozen=True)
class OfferedAuthority:
    """A certificate authority that masters have, as it is shown to the operator who decides about it."""

    name: str
    """Name of its files, without the suffix."""
    fingerprint: str
    """SHA-256 of its certificate."""
    expires: datetime

    def __str__(self) -> str:
        return f"{self.name}: SHA-256 {self.fingerprint}, expires {self.expires:%Y-%m-%d}"


@dataclass(frozen=True)
class Identity:
    """What makes a cluster the one that it is."""

    authorities: tuple[OfferedAuthority, ...]
    token_key: str
    """Id of the key that signs tokens of service accounts, as the tokens name it (kid)."""

    def lines(self) -> list[str]:
        """One line for each authority and one for the key, to compare with what is known of the cluster."""
        return [
            *(str(authority) for authority in self.authorities),
            f"{SERVICE_ACCOUNT}: key of service accounts, kid {self.token_key}",
        ]


@dataclass(frozen=True)
class Offer:
    """What masters have; it is the same on all of them."""

    hosts: tuple[str, ...]
    identity: Identity

    def lines(self) -> list[str]:
        """What there is to compare with what is known of the cluster."""
        return self.identity.lines()


def check(files: Mapping[str, bytes]) -> Identity:
    """Check that these are the files in ``KEPT``: certificates of CAs, and the keys that belong to them.

    Args:
        files: Content of each file by its name.

    Returns:
        What they say; the authorities are in the order of ``AUTHORITIES``.

    Raises:
        ValueError: A file is not what its name says; the text says which, and what it is instead.
    """
    found = []
    for name in AUTHORITIES:
        try:
            certificate = x509.load_certificate(files[f"{name}.crt"])
            wrong = x509.what_is_wrong(x509.Pair(certificate, _key(files[f"{name}.key"])))
        except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
            raise ValueError(f"{name}.crt or {name}.key is not a certificate or not a key: {exc}") from exc
        if wrong:
            raise ValueError(f"{name}.crt: {wrong}")
        if files[f"{name}.crt"].split() != x509.certificate_pem(certificate).split():
            raise ValueError(
                f"{name}.crt contains other data besides one certificate, such as a second CA in a rotation"
            )
        digest = certificate.fingerprint(hashes.SHA256()).hex(":").upper()
        found.append(OfferedAuthority(name, digest, certificate.not_valid_after_utc))
    try:
        fits = x509.load_public(files["sa.pub"]) == _key(files["sa.key"]).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise ValueError(f"sa.pub or sa.key is not a key: {exc}") from exc
    if not fits:
        raise ValueError("sa.pub does not belong to sa.key")
    if files["sa.pub"].split() != x509.public_pem(_key(files["sa.key"])).split():
        raise ValueError("sa.pub contains other data besides one key")
    return Identity(tuple(found), x509.token_key_id(x509.load_public(files["sa.pub"])))


def _key(pem: bytes) -> x509.PrivateKey:
    if not _ONE_KEY.fullmatch(pem):
        raise ValueError("it is not exactly one private key in PEM format")
    return x509.load_key(pem)
