"""What the models are made of: patterns, types of values, and the base class."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
DNS_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
VERSION = r"^[0-9]{1,4}\.[0-9]{1,4}\.(0|[1-9][0-9]{0,3})$"
IMAGE_VERSION = r"^\d+\.\d+(\.\d+)?$"
DNS_SERVER = r"^\d{1,3}(\.\d{1,3}){3}(:\d{1,5})?$"
CHART_VERSION = r"^v?\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?$"
SHA256 = r"^[0-9a-f]{64}$"
HTTP_URL = r"""^https?://[^\s"'\\\x00-\x1f\x7f]+$"""
DIRECT_HOST = r"""^[^\s,"'\\\x00-\x1f\x7f]+$"""
REGISTRY_HOST = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:\d{1,5})?$"
DOCKER_SIZE = r"^[1-9]\d*[kmg]$"
FOLDER = r"^(/[\w.-]+)+$"
BUCKET = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
REGION = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$"
OBJECT_PREFIX = r"^([A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*/?)?$"
USER_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}$"

DnsLabel = Annotated[str, StringConstraints(pattern=DNS_LABEL)]
"""RFC 1123 label: lower case letters, digits and inner hyphens, 63 at most."""
DnsName = Annotated[str, StringConstraints(pattern=DNS_NAME, max_length=253)]
Version = Annotated[str, StringConstraints(pattern=VERSION)]
ImageVersion = Annotated[str, StringConstraints(pattern=IMAGE_VERSION)]
Sha256 = Annotated[str, StringConstraints(pattern=SHA256)]
HttpUrl = Annotated[str, StringConstraints(pattern=HTTP_URL)]
DirectHost = Annotated[str, StringConstraints(pattern=DIRECT_HOST)]
"""What is reached without the proxy: a name, an address or a range, as in the variable no_proxy."""
RegistryHost = Annotated[str, StringConstraints(pattern=REGISTRY_HOST)]
DockerSize = Annotated[str, StringConstraints(pattern=DOCKER_SIZE)]
Folder = Annotated[str, StringConstraints(pattern=FOLDER)]
"""Absolute path of a folder on hosts."""
UserName = Annotated[str, StringConstraints(pattern=USER_NAME)]
"""Name of a user on hosts, with an @ where it is of a directory service."""
ReleaseName = Annotated[str, StringConstraints(pattern=DNS_NAME, max_length=53)]
"""Name of a Helm release: 53 characters at most, as helm has it."""
ChartVersion = Annotated[str, StringConstraints(pattern=CHART_VERSION)]
DnsServer = Annotated[str, StringConstraints(pattern=DNS_SERVER)]
Port = Annotated[int, Field(ge=1, le=65535)]
Role = Literal["master", "worker", "etcd"]
KubeProxyMode = Literal["iptables", "nftables"]
PodNetworkName = Literal["routed", "flannel", "calico", "cilium", "none"]
Mtu = Annotated[int, Field(ge=576, le=65535)]
Arch = Literal["amd64", "arm64"]
"""Architectures that the catalogue has releases for (a test says so)."""
Component = Literal[
    "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"
]

HookPoint = Literal[
    "host",
    "etcd",
    "control_plane",
    "packages",
    "image_registry",
    "upgrade",
    "container_runtime",
    "kubelet",
    "pod_network",
    "kube_proxy",
    "addons",
    "up",
    "remove",
    "certs_renew",
    "certs_rotate_ca",
    "reboot",
    "stop",
    "start",
    "reset",
]
"""What a hook runs before or after: a phase, as in ``plan.phases`` (a test says so), or a whole run."""
ConfiguredComponent = Literal["kubelet", "kube-proxy", "kube-scheduler"]
"""Components that read a configuration file."""


class Model(BaseModel):
    """Base: camelCase keys, nothing unknown, nothing changed after loading."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )


def variant(key: str) -> str:
    """The mark that the variant of a union with this key leaves in pydantic's error locations."""
    return f"({key})"


def chosen_by(*keys: str) -> Callable[[Any], str | None]:
    """Pick a union's variant by the one key that is there: errors then speak of that variant alone."""

    def choose(value: Any) -> str | None:
        has = value.__contains__ if isinstance(value, dict) else lambda key: hasattr(value, key)
        present = [key for key in keys if has(key)]
        return variant(present[0]) if len(present) == 1 else None

    return choose
