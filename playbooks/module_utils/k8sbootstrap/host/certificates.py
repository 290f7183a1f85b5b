"""Certificates that programs get and renew on the host itself."""

from __future__ import annotations

import ssl


def has_expired(path: str, now: float) -> bool:
    """Whether a certificate is over at a time in seconds since 1970, or can't be read."""
    try:
        end = ssl._ssl._test_decode_cert(path)["notAfter"]  # type: ignore[attr-defined] # noqa: SLF001 - nothing else reads it
        return ssl.cert_time_to_seconds(end) < now
    except (AttributeError, KeyError, ValueError):
        return False
    except OSError:
        return True
