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
class Offer:
    """The certificate authorities that masters have; they are the same on all of them."""

    hosts: tuple[str, ...]
    authorities: tuple[OfferedAuthority, ...]

    def lines(self) -> list[str]:
        """One line for each authority, to compare with what is known of the cluster."""
        return [str(authority) for authority in self.authorities]


def check(files: Mapping[str, bytes]) -> tuple[OfferedAuthority, ...]:
    """Check that these are the files in ``KEPT``: certificates of CAs, and the keys that belong to them.

    Args:
        files: Content of each file by its name.

    Returns:
        The authorities, in the order of ``AUTHORITIES``.

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
            raise ValueError(f"{name}.crt contains other data besides one certificate")
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
    return tuple(found)


def _key(pem: bytes) -> x509.PrivateKey:
    if not _ONE_KEY.fullmatch(pem):
        raise ValueError("it is not exactly one private key in PEM format")
    return x509.load_key(pem)
