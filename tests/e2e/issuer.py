"""A small OpenID Connect issuer on this machine: a discovery document and a key over TLS, and tokens."""

from __future__ import annotations

import base64
import json
import ssl
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import yaml
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from registry import certificates

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PORT = 5556
CLIENT = "kubernetes"


@dataclass
class Issuer:
    """A running issuer."""

    url: str
    ca: str
    key: rsa.RSAPrivateKey

    def token(self, audience: str = CLIENT, **claims: object) -> str:
        """A signed token that is good for an hour."""
        now = int(time.time())
        body = {"iss": self.url, "aud": audience, "iat": now, "exp": now + 3600, **claims}
        signed = f"{_encoded({'alg': 'RS256', 'kid': 'lab', 'typ': 'JWT'})}.{_encoded(body)}"
        signature = self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_base64(signature)}"

    def configuration(self, *rules: str, groups_prefix: str = "lab:") -> str:
        """An AuthenticationConfiguration with this issuer alone.

        Args:
            rules: CEL expressions that users must meet.
            groups_prefix: What names of groups begin with.
        """
        entry: dict[str, Any] = {
            "issuer": {"url": self.url, "certificateAuthority": self.ca, "audiences": [CLIENT]},
            "claimMappings": {
                "username": {"expression": "'lab:' + claims.sub"},
                "groups": {"claim": "groups", "prefix": groups_prefix},
            },
            "userValidationRules": [{"expression": rule} for rule in rules],
        }
        return authentication(entry)


def authentication(*issuers: object) -> str:
    """An AuthenticationConfiguration."""
    head = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration"}
    return yaml.safe_dump({**head, "jwt": list(issuers)}, sort_keys=False)


@contextmanager
def serve(folder: Path, address: str) -> Iterator[Issuer]:
    """Run an issuer on one address of this machine, and stop it.

    Args:
        folder: Empty; gets its files and certificates.
        address: Of a lab's bridge: only that lab's hosts reach it.
    """
    certificates(folder, address)
    issuer = Issuer(
        f"https://{address}:{PORT}", (folder / "ca.crt").read_text(), rsa.generate_private_key(65537, 2048)
    )
    _write(folder / "files", issuer)
    handler = partial(SimpleHTTPRequestHandler, directory=folder / "files")
    server = ThreadingHTTPServer((address, PORT), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()


def _write(folder: Path, issuer: Issuer) -> None:
    numbers = issuer.key.public_key().public_numbers()
    key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "lab"}
    key |= {name: _base64(_bytes(getattr(numbers, name))) for name in ("n", "e")}
    discovery = {
        "issuer": issuer.url,
        "jwks_uri": f"{issuer.url}/keys",
        "authorization_endpoint": f"{issuer.url}/authorize",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }
    (folder / ".well-known").mkdir(parents=True)
    (folder / ".well-known/openid-configuration").write_text(json.dumps(discovery))
    (folder / "keys").write_text(json.dumps({"keys": [key]}))


def _encoded(value: object) -> str:
    return _base64(json.dumps(value).encode())


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
