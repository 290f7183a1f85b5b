"""Reads what hosts print about themselves into types."""

import re
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.oid import NameOID

from k8sbootstrap.survey.os_release import os_release
from k8sbootstrap.survey.status.models import Certificate

_VERSION = re.compile(r"\d+\.\d+[^\s,\"]*")


def version(text: str) -> str:
    """The first thing in ``text`` that looks like a version, without a leading v; empty when nothing does."""
    found = _VERSION.search(text)
    return found.group() if found else ""


def os_name(text: str) -> str:
    """PRETTY_NAME of an os-release file, else its ID."""
    fields = os_release(text)
    return fields.get("PRETTY_NAME", fields.get("ID", ""))


def certificates(path: str, pem: str, now: datetime) -> list[Certificate]:
    """The certificates in one file.

    Args:
        path: The file on the host.
        pem: Certificates in PEM form.
        now: The time from which days are counted; timezone-aware.

    Raises:
        ValueError: when ``pem`` is no certificate.
    """
    found = []
    for certificate in x509.load_pem_x509_certificates(pem.encode()):
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        end = certificate.not_valid_after_utc.astimezone(UTC)
        found.append(Certificate(path, str(names[0].value) if names else "", end, (end - now).days))
    return found
