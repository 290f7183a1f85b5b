"""Runs on a host, never on the controller: what a rotation of CAs has to see and do in the cluster.

It is sent over SSH with the modules that it imports, and with a JSON document as its one argument:

``{"do": "look"}`` on a master: what uses the API and would not notice new CAs and keys.
``{"do": "restart", "authority", "reason", "timeout"}`` on a master: pods trust the CA from here on.
``{"do": "tokens", "key", "folders"}`` on a node: tokens of its pods that another key may have signed, as
lines of ``NAMESPACE/POD DIGEST SIGNATURE``. The controller has the keys to see whether they did.

It prints ``{"found": {NAME: [TEXT, ...]}, "problem"}``. Standard library only, Python 3.9 and later.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.k8sbootstrap.kube.kubectl import KubectlError
from ansible.module_utils.k8sbootstrap.kube.workloads import (
    await_root_ca,
    find,
    long_lived_tokens,
    pods_of_others,
    restart,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MOST = 1000
"""Names in one list."""
LONGEST_NAME = 2 * 253 + 1
"""Characters of NAMESPACE/POD: a file that only looks like a token may claim any."""
LONGEST_SIGNATURE = 2048
"""Characters: twice those of the longest RSA keys."""
LONGEST_TOKEN = 1 << 16
HASHES = {"RS256": "sha256", "ES256": "sha256", "ES384": "sha384", "ES512": "sha512"}
"""What Kubernetes signs tokens with: pkg/serviceaccount/jwt.go."""
ROOT_CA_WITHIN = 120.0
"""Seconds until kube-controller-manager has told all namespaces of a CA."""


def look() -> dict[str, list[str]]:
    """What uses the API."""
    return {
        "workloads": ["{namespace}/{name}".format(**each["metadata"]) for each in find()],
        "pods": pods_of_others(),
        "tokens": long_lived_tokens(),
    }


def begin_trust(authority: str, reason: str, timeout: float) -> dict[str, list[str]]:
    """Have all pods that use the API trust a CA."""
    await_root_ca(authority, ROOT_CA_WITHIN)
    return restart(reason, timeout)


def tokens(key: str, folders: list[str]) -> dict[str, list[str]]:
    """Tokens of service accounts that pods here have for themselves, and that another key may have signed.

    Raises:
        ValueError: There are more of them than can be looked at.
    """
    old: dict[str, str] = {}
    for folder in folders:
        for path in Path(folder).glob("pods/*/volumes/kubernetes.io~projected/*/*"):
            uid = path.parts[len(Path(folder).parts) + 1]
            line = _token(path, key, uid)
            if line is not None:
                old[line] = uid
    if len(old) > MOST:
        uid, number = Counter(old.values()).most_common(1)[0]
        raise ValueError(f"{len(old)} files look like tokens, {number} of them of the pod with the uid {uid}")
    return {"old": sorted(old)}


def _token(path: Path, key: str, uid: str) -> str | None:
    """One line about a token; None for all other files, for one that has ended, and for one of another pod.

    What anybody may have written is in these files, too: a ConfigMap can be in such a volume.
    """
    try:
        if not path.is_file() or path.stat().st_size > LONGEST_TOKEN:
            return None
        signed, _, signature = path.read_text(encoding="ascii").strip().rpartition(".")
        header, payload = (json.loads(base64.urlsafe_b64decode(f"{part}===")) for part in signed.split("."))
        claims = payload["kubernetes.io"]
        name = f"{claims['namespace']}/{claims['pod']['name']}"
        if header["kid"] == key or claims["pod"]["uid"] != uid or payload["exp"] < time.time():
            return None
        digest = hashlib.new(HASHES[header["alg"]], signed.encode()).hexdigest()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if len(name) > LONGEST_NAME or len(signature) > LONGEST_SIGNATURE or len(name.split()) != 1:
        return None
    return f"{name} {digest} {signature}"


DO: dict[str, Callable[..., dict[str, list[str]]]] = {
    "look": look,
    "restart": begin_trust,
    "tokens": tokens,
}


def main() -> None:
    """Print what came of it."""
    answer: dict[str, Any] = {"found": {}, "problem": ""}
    try:
        wanted: dict[str, Any] = json.loads(sys.argv[1])
        found = DO[wanted.pop("do")](**wanted)
        answer["found"] = {name: texts[:MOST] for name, texts in found.items()}
    except (KubectlError, OSError, ValueError) as error:
        answer["problem"] = str(error)[:5000]
    sys.stdout.write(json.dumps(answer))


main()
