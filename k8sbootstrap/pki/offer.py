"""Certificate authorities that a master says it has: checked for what they claim to be, then taken."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes

from k8sbootstrap.pki import x509

AUTHORITIES = ("ca", "front-proxy-ca", "etcd/ca")
KEPT = (
    *(f"{name}{ending}" for name in AUTHORITIES for ending in (".crt", ".key")),
    "sa.pub",
    "sa.key",
)
"""What every master keeps under /etc/kubernetes/pki and nothing else can be made from."""
MAX_BYTES = 64 << 10
"""Of one such file; ours have less than two thousand."""
_ONE_KEY = re.compile(rb"\s*-----BEGIN ([A-Z ]*KEY)-----[A-Za-z0-9+/=\s]+-----END \1-----\s*")


@dataclass(frozen=True)
class Authority:
    """One authority, for the question whether to take it."""

    name: str
    """As its file is called, without the ending."""
    fingerprint: str
    """SHA-256 of its certificate."""
    expires: datetime

    def __str__(self) -> str:
        return f"{self.name}: SHA-256 {self.fingerprint}, expires {self.expires:%Y-%m-%d}"


@dataclass(frozen=True)
class Offer:
    """What masters have, all of them alike."""

    hosts: tuple[str, ...]
    authorities: tuple[Authority, ...]

    def lines(self) -> list[str]:
        """What there is to compare."""
        return [str(authority) for authority in self.authorities]


def check(files: Mapping[str, bytes]) -> tuple[Authority, ...]:
    """See that these are the files in ``KEPT``: certificates of CAs, and the keys that fit them.

    Raises:
        ValueError: One is not; says which, and what it is instead.
    """
    found = []
    for name in AUTHORITIES:
        try:
            certificate = x509.load_certificate(files[f"{name}.crt"])
            wrong = x509.what_is_wrong(x509.Pair(certificate, _key(files[f"{name}.key"])))
        except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
            raise ValueError(f"{name}.crt or {name}.key is no certificate or no key: {exc}") from exc
        if wrong:
            raise ValueError(f"{name}.crt: {wrong}")
        if files[f"{name}.crt"].split() != x509.certificate_pem(certificate).split():
            raise ValueError(f"{name}.crt holds something else beside one certificate")
        digest = certificate.fingerprint(hashes.SHA256()).hex(":").upper()
        found.append(Authority(name, digest, certificate.not_valid_after_utc))
    try:
        fits = x509.load_public(files["sa.pub"]) == _key(files["sa.key"]).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise ValueError(f"sa.pub or sa.key is no key: {exc}") from exc
    if not fits:
        raise ValueError("sa.pub does not belong to sa.key")
    if files["sa.pub"].split() != x509.public_pem(_key(files["sa.key"])).split():
        raise ValueError("sa.pub holds something else beside one key")
    return tuple(found)


def _key(pem: bytes) -> x509.PrivateKey:
    if not _ONE_KEY.fullmatch(pem):
        raise ValueError("it is not one private key in PEM")
    return x509.load_key(pem)
