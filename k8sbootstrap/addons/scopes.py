"""Which kinds of objects are in a namespace: helm puts those of a chart into the release's namespace."""

from collections.abc import Iterable, Iterator

from k8sbootstrap.formats.objects import Object

_CLUSTER_WIDE = frozenset(
    {
        ("", "Namespace"),
        ("", "Node"),
        ("", "PersistentVolume"),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("apiregistration.k8s.io", "APIService"),
        ("certificates.k8s.io", "CertificateSigningRequest"),
        ("certificates.k8s.io", "ClusterTrustBundle"),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema"),
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"),
        ("networking.k8s.io", "IngressClass"),
        ("networking.k8s.io", "IPAddress"),
        ("networking.k8s.io", "ServiceCIDR"),
        ("node.k8s.io", "RuntimeClass"),
        ("policy", "PodSecurityPolicy"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("resource.k8s.io", "DeviceClass"),
        ("resource.k8s.io", "DeviceTaintRule"),
        ("resource.k8s.io", "ResourceSlice"),
        ("scheduling.k8s.io", "PriorityClass"),
        ("storage.k8s.io", "CSIDriver"),
        ("storage.k8s.io", "CSINode"),
        ("storage.k8s.io", "StorageClass"),
        ("storage.k8s.io", "VolumeAttachment"),
        ("storage.k8s.io", "VolumeAttributesClass"),
        ("storagemigration.k8s.io", "StorageVersionMigration"),
    }
)
"""API group and kind of Kubernetes' own objects that are in no namespace."""


class Scopes:
    """Knows Kubernetes' own kinds, and those that objects define that it was shown.

    A kind that nobody defines there is taken to be in a namespace: the API server ignores it where it is not.
    """

    def __init__(self) -> None:
        self._cluster_wide = set(_CLUSTER_WIDE)
        self._versions: dict[str, None] = {}

    def add_definitions(self, objects: Iterable[Object]) -> None:
        """Add the kinds that CustomResourceDefinitions among the objects define."""
        for item in objects:
            if item["kind"] != "CustomResourceDefinition":
                continue
            spec = item.get("spec") or {}
            kind = str((spec.get("names") or {}).get("kind"))
            if spec.get("scope") == "Cluster":
                self._cluster_wide.add((str(spec.get("group")), kind))
            for version in _served(spec):
                self._versions[f"{spec.get('group')}/{version}"] = None
                self._versions[f"{spec.get('group')}/{version}/{kind}"] = None

    @property
    def api_versions(self) -> list[str]:
        """GROUP/VERSION and GROUP/VERSION/KIND of the kinds that were defined so far."""
        return list(self._versions)

    def placed(self, item: Object, namespace: str) -> Object:
        """The object with a namespace, where it needs one and has none."""
        group = item["apiVersion"].rpartition("/")[0]
        metadata = item["metadata"]
        if metadata.get("namespace") or (group, item["kind"]) in self._cluster_wide:
            return item
        return {**item, "metadata": {**metadata, "namespace": namespace}}


def _served(spec: Object) -> Iterator[str]:
    """Versions of a CustomResourceDefinition that the API server serves; v1beta1 may have a single one."""
    if spec.get("version"):
        yield str(spec["version"])
    for version in spec.get("versions") or ():
        if version.get("served"):
            yield str(version.get("name"))
