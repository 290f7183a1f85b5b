"""Kubeconfigs with certificates inside: writing them, and reading back the certificate of one."""

import base64
import binascii
from typing import Any

import yaml

from k8sbootstrap.formats.bounded import load_own_yaml
from k8sbootstrap.pki.x509 import Pair, load_certificate, load_key


def render(*, cluster: str, user: str, server: str, ca_pem: bytes, pair: Pair) -> bytes:
    """Write a kubeconfig.

    Args:
        cluster: Name of the cluster, and of the context.
        user: Name of the user; the cluster's name is put in front, so that files of clusters can be merged.
        server: HOST:PORT of the API.
        ca_pem: The CAs that the API server's certificate may come from.
        pair: The client certificate and its key.
    """
    user = f"{cluster}-{user}"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": cluster,
                "cluster": {"server": f"https://{server}", "certificate-authority-data": _encode(ca_pem)},
            }
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": _encode(pair.certificate_pem),
                    "client-key-data": _encode(pair.key_pem),
                },
            }
        ],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": user}}],
        "current-context": cluster,
        "preferences": {},
    }
    return yaml.safe_dump(document, sort_keys=False).encode()


def client_pair(content: bytes) -> Pair:
    """The client certificate and key of a kubeconfig that ``render`` wrote.

    Raises:
        ValueError: The content is no such kubeconfig.
    """
    try:
        document: Any = load_own_yaml(content)
        user = document["users"][0]["user"]
        certificate = base64.b64decode(user["client-certificate-data"], validate=True)
        key = base64.b64decode(user["client-key-data"], validate=True)
    except (yaml.YAMLError, LookupError, TypeError, binascii.Error) as exc:
        raise ValueError("it contains no client certificate and key") from exc
    return Pair(load_certificate(certificate), load_key(key))


def _encode(content: bytes) -> str:
    return base64.b64encode(content).decode()
