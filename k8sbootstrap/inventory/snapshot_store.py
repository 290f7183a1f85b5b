"""The bucket that snapshots of etcd are uploaded to, as programs on hosts read it, with its secret.

The file stays in the state directory, mode 0600; the inventory names it and its hash, as with
``k8sbootstrap.inventory.logins``. See ``Store`` in ``kube/etcd_bucket.py`` for its fields.
"""

from pathlib import Path
from typing import Any

from urllib3.util import parse_url

from k8sbootstrap.artifacts.web import is_bypassed
from k8sbootstrap.config.load import resolve_secret
from k8sbootstrap.config.paths import local_path
from k8sbootstrap.errors import ConfigError, Problem
from k8sbootstrap.inventory.logins import keep_salted
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State


def read_store(plan: ClusterPlan, base: Path) -> dict[str, Any]:
    """What a host needs to reach the bucket; empty where cluster.yaml names none.

    Args:
        plan: The desired state.
        base: The folder of cluster.yaml.

    Raises:
        ConfigError: The secret or the CA cannot be read.
    """
    wanted = plan.config.etcd.snapshots.s3
    if wanted is None:
        return {}
    return {
        "endpoint": wanted.endpoint.rstrip("/"),
        "region": wanted.region,
        "bucket": wanted.bucket,
        "folder": "/".join(filter(None, (wanted.prefix.rstrip("/"), plan.config.name))),
        "access_key": wanted.access_key,
        "secret_key": resolve_secret(wanted.secret_key, base),
        "ca": _text(local_path(wanted.ca, base)) if wanted.ca else "",
        "virtual_host": wanted.style == "virtual-host",
        "proxy": _proxy(plan, wanted.endpoint),
        "prune": wanted.prune,
        "keep": wanted.keep,
        "days": wanted.days,
    }


def write_store(store: dict[str, Any], state: State) -> None:
    """Keep it in the state directory; without a bucket there is no file.

    Args:
        store: What ``read_store`` returned.
        state: The cluster's state.

    Raises:
        StateError: The file cannot be read or written.
    """
    keep_salted(state.snapshot_store, "store", store, state)


def _proxy(plan: ClusterPlan, endpoint: str) -> str:
    """The proxy that the store is reached through; empty for none."""
    url, proxy = parse_url(endpoint), plan.config.proxy
    wanted = proxy.https if url.scheme == "https" else proxy.http
    return wanted if wanted and not is_bypassed(url.host or "", proxy.no_proxy) else ""


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or "is not UTF-8 text"
        raise ConfigError([Problem(file, 0, "", f"the CA cannot be read: {reason}", "")]) from exc
