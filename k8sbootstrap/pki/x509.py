"""Makes keys and certificates, and checks existing ones. Touches no files."""

import base64
import datetime as dt
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from k8sbootstrap.pki.table import Subject

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Certificate = x509.Certificate
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

AUTHORITY_LIFE = dt.timedelta(days=3650)
LEAF_LIFE = dt.timedelta(days=365)
RENEW_BEFORE = dt.timedelta(days=30)
"""A certificate with less than this left is made again."""
BACKDATE = dt.timedelta(minutes=5)
"""How far before now certificates begin to be valid: clocks of hosts may be a little behind."""

_HASHES = {each.digest_size: each for each in (hashes.SHA256(), hashes.SHA384(), hashes.SHA512())}
_USAGES = {"client": ExtendedKeyUsageOID.CLIENT_AUTH, "server": ExtendedKeyUsageOID.SERVER_AUTH}


@dataclass(frozen=True)
class Pair:
    """A certificate and the private key that belongs to it."""

    certificate: x509.Certificate
    key: PrivateKey

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as PEM."""
        return certificate_pem(self.certificate)

    @property
    def key_pem(self) -> bytes:
        """The key as PEM."""
        return key_pem(self.key)


def now() -> dt.datetime:
    """The present moment in UTC."""
    return dt.datetime.now(dt.UTC)


def new_key() -> PrivateKey:
    """A new ECDSA P-256 key: cheap, and every Kubernetes release takes it, to sign tokens with as well."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: PrivateKey) -> bytes:
    """A private key as PEM in the format of its kind (EC PRIVATE KEY), which all releases read."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """A certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def public_pem(key: PrivateKey) -> bytes:
    """The public half of a key as PEM."""
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def load_key(pem: bytes) -> PrivateKey:
    """Read a private key.

    Raises:
        ValueError: It is no PEM private key, is encrypted, or of a kind other than EC and RSA.
    """
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError as exc:
        raise ValueError("the key is encrypted") from exc
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError("the key is neither EC nor RSA")  # noqa: TRY004 - callers handle one error
    return key


def load_publics(pems: bytes) -> tuple[PublicKey, ...]:
    """Read public keys, one after another in a text.

    Raises:
        ValueError: One is no PEM public key, or of a kind other than EC and RSA.
    """
    parts = re.findall(rb"-----BEGIN [^-]+-----.+?-----END [^-]+-----", pems, re.DOTALL)
    return tuple(load_public(part) for part in parts)


def load_public(pem: bytes) -> PublicKey:
    """Read a public key.

    Raises:
        ValueError: It is no PEM public key, or of a kind other than EC and RSA.
    """
    key = serialization.load_pem_public_key(pem)
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise ValueError("the key is neither EC nor RSA")  # noqa: TRY004 - callers handle one error
    return key


def load_certificate(pem: bytes) -> x509.Certificate:
    """Read a certificate.

    Raises:
        ValueError: It is no PEM certificate.
    """
    return x509.load_pem_x509_certificate(pem)


def load_certificates(pem: bytes) -> list[x509.Certificate]:
    """Read all certificates in a PEM text.

    Raises:
        ValueError: There is none, or one is damaged.
    """
    return x509.load_pem_x509_certificates(pem)


def token_key_id(key: PublicKey) -> str:
    """How the header of a service account's token names the key that verifies it (``kid``).

    Kubernetes computes it in pkg/serviceaccount/jwt.go, keyIDFromPublicKey.
    """
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def is_token_signature(key: PublicKey, digest: str, signature: str) -> bool:
    """Whether a key made the signature of a JSON Web Token (RFC 7518, 3.3 and 3.4); False for what is none.

    Args:
        key: The key.
        digest: SHA-256, SHA-384 or SHA-512 of what is signed, hexadecimal.
        signature: As in the token, base64url.
    """
    try:
        hashed, raw = bytes.fromhex(digest), base64.urlsafe_b64decode(f"{signature}===")
        made = Prehashed(_HASHES[len(hashed)])
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(raw, hashed, padding.PKCS1v15(), made)
        else:
            half = len(raw) // 2
            numbers = int.from_bytes(raw[:half]), int.from_bytes(raw[half:])
            key.verify(encode_dss_signature(*numbers), hashed, ec.ECDSA(made))
    except (InvalidSignature, ValueError, KeyError):
        return False
    return True


def make_authority(common_name: str, key: PrivateKey) -> x509.Certificate:
    """Make a self-signed certificate of an authority."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = _builder(name, key, name, key, now() + AUTHORITY_LIFE)
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def issue(subject: Subject, authority: Pair, life: dt.timedelta | None = None) -> Pair:
    """Make a key and a certificate.

    Args:
        subject: What the certificate says.
        authority: Who signs it. It never lasts longer than that.
        life: How long it is to last; ``LEAF_LIFE`` if not given.
    """
    key = new_key()
    end = end_of_new(authority.certificate, life)
    builder = _builder(_name(subject), key, authority.certificate.subject, authority.key, end)
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([_USAGES[usage] for usage in sorted(subject.usages)]), False)  # noqa: FBT003
    )
    if subject.sans:
        names = x509.SubjectAlternativeName([_general_name(san) for san in sorted(subject.sans)])
        builder = builder.add_extension(names, critical=False)
    return Pair(builder.sign(authority.key, hashes.SHA256()), key)


def what_is_wrong(authority: Pair) -> str:
    """Why this certificate and key cannot act as an authority; empty when they can."""
    certificate = authority.certificate
    if certificate.public_key() != authority.key.public_key():
        return "the certificate does not match its key"
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return "the certificate is not a CA certificate"
    if not constraints.ca:
        return "the certificate is not a CA certificate"
    if certificate.not_valid_after_utc <= now():
        return f"the CA expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
    return ""


def issued_at(certificate: x509.Certificate) -> dt.datetime:
    """When ``issue`` made a certificate, to the second."""
    return certificate.not_valid_before_utc + BACKDATE


def end_of_new(authority: x509.Certificate, life: dt.timedelta | None = None) -> dt.datetime:
    """When a certificate ends that an authority signs now: never later than the authority itself.

    Args:
        authority: Who signs it.
        life: How long it is to last; ``LEAF_LIFE`` if not given.
    """
    return min(now() + (life or LEAF_LIFE), authority.not_valid_after_utc)


def says(
    certificate: x509.Certificate,
    authority: x509.Certificate,
    server: str = "",
    trusted: Sequence[x509.Certificate] = (),
) -> str:
    """Digest of what a certificate says: whom it names, what it is for, and who signs it.

    Args:
        certificate: The certificate.
        authority: The CA's.
        server: HOST:PORT of the API, of a certificate in a kubeconfig.
        trusted: CAs in the kubeconfig besides the authority.
    """
    parts = [
        certificate.subject.rfc4514_string(),
        sorted(str(name.value) for name in _sans_of(certificate)),
        sorted(usage.dotted_string for usage in _usages_of(certificate)),
        authority.fingerprint(hashes.SHA256()).hex(),
        server,
        *(other.fingerprint(hashes.SHA256()).hex() for other in trusted),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def why_renew(pair: Pair, subject: Subject, authority: Pair, left: dt.timedelta = RENEW_BEFORE) -> str:
    """Why a certificate must be made again.

    Args:
        pair: The certificate and key that are there.
        subject: What the certificate should say.
        authority: Who should have signed it.
        left: How long it must still be valid, unless the authority ends no later.

    Returns:
        The reason in a few words; empty when it can stay.
    """
    certificate = pair.certificate
    end = certificate.not_valid_after_utc
    reasons = {
        "its key is a different one": certificate.public_key() != pair.key.public_key(),
        "another CA signed it": not is_signed_by(certificate, authority.certificate),
        f"it expires on {end:%Y-%m-%d}": (
            end - now() < left and end < authority.certificate.not_valid_after_utc
        ),
        "its subject is different": certificate.subject != _name(subject),
        "its SANs are different": _sans_of(certificate) != {_general_name(san) for san in subject.sans},
        "its usages are different": _usages_of(certificate) != {_USAGES[usage] for usage in subject.usages},
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def is_signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether an authority signed a certificate, however long it is valid."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _builder(
    subject: x509.Name, key: PrivateKey, issuer: x509.Name, issuer_key: PrivateKey, end: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - BACKDATE)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _name(subject: Subject) -> x509.Name:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in subject.organizations]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, subject.common_name)])


def _general_name(san: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(san))
    except ValueError:
        return x509.DNSName(san)


def _sans_of(certificate: x509.Certificate) -> set[x509.GeneralName]:
    try:
        return set(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return set()


def _usages_of(certificate: x509.Certificate) -> set[x509.ObjectIdentifier]:
    try:
        return set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return set()
