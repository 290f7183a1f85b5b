"""Rules about how the API server knows users of other systems."""

from collections.abc import Iterator
from pathlib import Path

from k8sbootstrap.config.authentication import problems
from k8sbootstrap.config.draft import Draft
from k8sbootstrap.config.models.base import Component
from k8sbootstrap.config.models.network import Network
from k8sbootstrap.config.paths import local_path
from k8sbootstrap.config.rules.files import readable
from k8sbootstrap.config.rules.finding import Finding

_API_SERVER: Component = "kube-apiserver"
_KEY = ("api", "authentication")


def flags(draft: Draft) -> Iterator[Finding]:
    """The API server takes either the file or flags."""
    if draft.api is None or draft.api.authentication is None or draft.kubernetes is None:
        return
    for flag in draft.kubernetes.extra_args.get(_API_SERVER, {}):
        if flag == "authentication-config" or flag.startswith("oidc-"):
            yield Finding(
                ("kubernetes", "extraArgs", _API_SERVER, flag),
                "does not go together with api.authentication",
                f"remove one of the two; {draft.api.authentication} can say the same",
            )


def file(draft: Draft, base: Path) -> Iterator[Finding]:
    """The file is there, and is one that the API server takes."""
    if draft.api is None or draft.api.authentication is None:
        return
    path = local_path(draft.api.authentication, base)
    unreadable = list(readable(path, _KEY))
    yield from unreadable
    if unreadable:
        return
    for problem in problems(path, _own_issuer(draft)):
        yield Finding(_KEY, str(problem), "")


def _own_issuer(draft: Draft) -> str:
    """The issuer of the cluster's own tokens; see roles/kube_apiserver."""
    extra = draft.kubernetes.extra_args.get(_API_SERVER, {}) if draft.kubernetes else {}
    domain = (draft.network or Network()).dns_domain
    return extra.get("service-account-issuer", f"https://kubernetes.default.svc.{domain}")
