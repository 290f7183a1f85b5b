"""Certificates on the host: when they end, and which are renewed."""

from __future__ import annotations

import base64
import os
import re
import ssl
from collections.abc import Mapping

RENEW_BEFORE = 30 * 86_400
"""Seconds: a certificate that the controller made is renewed when it has less than this left."""
_LARGEST = 1 << 20
_SIGNER = b"\x06\x03\x55\x1d\x23"
"""The object identifier of the extension authorityKeyIdentifier, in DER."""
_OWN = b"\x06\x03\x55\x1d\x0e"
"""That of subjectKeyIdentifier."""
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_IN_KUBECONFIG = re.compile(rb"^ *client-certificate-data: *([A-Za-z0-9+/=]+) *$", re.MULTILINE)


def has_expired(path: str, now: float) -> bool:
    """Whether a certificate is over at a time in seconds since 1970, or can't be read."""
    try:
        end = _end(path)
        return end is not None and end < now
    except OSError:
        return True


def end_of(path: str) -> float | None:
    """When the certificate in a file, or in a kubeconfig, ends.

    Args:
        path: The file.

    Returns:
        Seconds since 1970; None where no certificate can be read.
    """
    try:
        with open(path, "rb") as handle:
            found = _IN_KUBECONFIG.search(handle.read(_LARGEST))
        return _end_in(base64.b64decode(found.group(1))) if found else _end(path)
    except (OSError, ValueError):
        return None


def ends_soon(path: str, authority_ends: float, now: float) -> bool:
    """Whether a certificate must be renewed: it ends soon, and a new one would last longer.

    Args:
        path: The file.
        authority_ends: When the CA ends that signs it, in seconds since 1970.
        now: The time, in seconds since 1970.
    """
    end = end_of(path)
    return end is not None and end < min(now + RENEW_BEFORE, authority_ends)


def signed_by_another(path: str, authority: str) -> bool:
    """Whether the certificate in a file names another key as its signer's than that of a CA.

    Args:
        path: The file.
        authority: The CA, in PEM; of several the first.

    Returns:
        False also where one of them does not name the key.
    """
    try:
        with open(path, "rb") as handle:
            signer = _key_id(handle.read(_LARGEST).decode("ascii", "replace"), _SIGNER)
    except OSError:
        return False
    own = _key_id(authority, _OWN)
    return bool(signer and own and signer != own)


def _key_id(pem: str, extension: bytes) -> bytes:
    """The id of a key in an extension of the first certificate in a PEM text; empty where there is none.

    RFC 5280, 4.2.1.1 and 4.2.1.2: both extensions begin with the id, in fewer than 128 bytes.
    """
    found = _CERTIFICATE.search(pem)
    if not found:
        return b""
    try:
        _, there, rest = ssl.PEM_cert_to_DER_cert(found.group()).partition(extension)
    except ValueError:
        return b""
    # the extension's length, and that of what contains the id; then the id's own
    start = {_OWN: 3, _SIGNER: 5}[extension]
    return rest[start + 1 : start + 1 + rest[start]] if there and len(rest) > start else b""


def belong_together(certificate: str, key: str) -> bool:
    """Whether the key in one file is that of the certificate in another."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ValueError):
        return False
    return True


def _end_in(pem: bytes) -> float | None:
    """The end of a certificate that is in no file: only files can be read."""
    handle = os.memfd_create("certificate")
    try:
        os.write(handle, pem)
        return _end(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)


def _end(path: str) -> float | None:
    try:
        known: Mapping[str, str] = ssl._ssl._test_decode_cert(path)  # type: ignore[attr-defined] # noqa: SLF001 - nothing else reads it
        return float(ssl.cert_time_to_seconds(known["notAfter"]))
    except (AttributeError, KeyError, ValueError):
        return None
