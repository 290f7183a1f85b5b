"""The objects that verify puts into the cluster, as data."""

from collections.abc import Iterable
from typing import Any

LABEL = "app.kubernetes.io/managed-by"
OWNER = "k8sbootstrap-verify"
"""Value of ``LABEL`` on verify's namespaces, by which later runs find those of killed ones."""
HOLDER = "k8sbootstrap.io/holder"
"""Annotation on the namespace: ``CONTROLLER/PID`` of the run that made it."""
NAME = "verify"
"""Name of the DaemonSet and of its Service."""
PORT = 8080
LOG_LINE = "k8sbootstrap-verify is serving"
"""Every test pod's first line of output starts with it."""

_SERVE = f"""\
echo "{LOG_LINE} $POD_NAME on $NODE_NAME"
echo "$POD_NAME" > /www/index.html
trap 'exit 0' TERM
httpd -f -p {PORT} -h /www & wait $!
"""


def namespace(name: str, holder: str) -> dict[str, Any]:
    """The namespace of one run."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {LABEL: OWNER}, "annotations": {HOLDER: holder}},
    }


def service(name: str) -> dict[str, Any]:
    """A Service with a ClusterIP and a NodePort in front of all test pods of namespace ``name``."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": name},
        "spec": {"type": "NodePort", "selector": {"app": NAME}, "ports": [{"port": 80, "targetPort": PORT}]},
    }


def daemon_set(name: str, image: str, nodes: Iterable[str]) -> dict[str, Any]:
    """A small web server on each of ``nodes`` that answers with its pod's name.

    Args:
        name: Namespace.
        image: Image with busybox's sh, httpd and wget.
        nodes: Names of the nodes; others get no pod, so that none waits on a node that is down.
    """
    terms = [
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]} for node in nodes
    ]
    container = {
        "name": NAME,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", "-c", _SERVE],
        "ports": [{"containerPort": PORT}],
        "env": [_from_field("POD_NAME", "metadata.name"), _from_field("NODE_NAME", "spec.nodeName")],
        "resources": {"requests": {"cpu": "1m", "memory": "4Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "www", "mountPath": "/www"}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": NAME, "namespace": name},
        "spec": {
            "selector": {"matchLabels": {"app": NAME}},
            "template": {
                "metadata": {"labels": {"app": NAME}},
                "spec": {
                    "affinity": {
                        "nodeAffinity": {
                            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}
                        }
                    },
                    "tolerations": [{"operator": "Exists"}],
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "terminationGracePeriodSeconds": 1,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": 65534,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [container],
                    "volumes": [{"name": "www", "emptyDir": {}}],
                },
            },
        },
    }


def _from_field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
