"""Variables of the roles of masters and etcd members: etcd and the control plane."""

from k8sbootstrap.inventory.files import copied
from k8sbootstrap.inventory.inputs import Inputs
from k8sbootstrap.inventory.model import Variables
from k8sbootstrap.pki.store import SIGNING
from k8sbootstrap.plan.models import HostPlan


def etcd(inputs: Inputs) -> Variables:
    """Of the role ``etcd``."""
    return {
        "etcd_cluster": inputs.cluster,
        "etcd_members": inputs.etcd_members,
        **inputs.files_of("etcd"),
        "etcd_pki_dir": inputs.pki,
        "etcd_extra_args": inputs.extra_args("etcd"),
        "etcd_snapshots": _snapshots(inputs),
        "etcd_snapshot_store": inputs.snapshot_store,
    }


def _snapshots(inputs: Inputs) -> Variables:
    """When snapshots are taken and how many stay; empty where none are taken."""
    wanted = inputs.plan.config.etcd.snapshots
    if not wanted.seconds:
        return {}
    return {
        "calendar": wanted.calendar,
        "seconds": wanted.seconds,
        "keep": wanted.keep,
        "days": wanted.days,
    }


def own_etcd(inputs: Inputs, host: HostPlan) -> Variables:  # noqa: ARG001 - all are called alike
    """Of the role ``etcd`` on one host."""
    if not host.is_etcd:
        return {}
    return {"etcd_address": str(host.private_address)}


def kube_apiserver(inputs: Inputs) -> Variables:
    """Of the role ``kube_apiserver``."""
    config, authentication = inputs.plan.config, inputs.plan.authentication
    return {
        "kube_apiserver_cluster": inputs.cluster,
        "kube_apiserver_port": config.api.port,
        "kube_apiserver_peers": inputs.masters,
        "kube_apiserver_etcd_members": inputs.etcd_members,
        "kube_apiserver_service_cidr": str(config.network.service_cidr),
        "kube_apiserver_dns_domain": config.network.dns_domain,
        **inputs.files_of("kube_apiserver"),
        "kube_apiserver_pki_dir": inputs.pki,
        "kube_apiserver_extra_args": inputs.extra_args("kube-apiserver"),
        "kube_apiserver_authentication": copied(authentication) if authentication else {},
    }


def own_kube_apiserver(inputs: Inputs, host: HostPlan) -> Variables:  # noqa: ARG001 - all are called alike
    """Of the role ``kube_apiserver`` on one host."""
    return {"kube_apiserver_address": str(host.private_address)} if host.is_master else {}


def api_virtual_ip(inputs: Inputs) -> Variables:
    """Of the role ``api_virtual_ip``; none where the API has no virtual IP."""
    api = inputs.plan.config.api
    if api.virtual_ip is None:
        return {}
    return {
        "api_virtual_ip_cluster": inputs.cluster,
        "api_virtual_ip_address": str(api.virtual_ip),
        "api_virtual_ip_port": api.port,
        "api_virtual_ip_masters": inputs.masters,
        "api_virtual_ip_pki_dir": inputs.pki,
    }


def kube_controller_manager(inputs: Inputs) -> Variables:
    """Of the role ``kube_controller_manager``."""
    network = inputs.plan.config.network
    return {
        "kube_controller_manager_cluster": inputs.cluster,
        "kube_controller_manager_service_cidr": str(network.service_cidr),
        "kube_controller_manager_pod_cidr": str(network.pod_cidr),
        "kube_controller_manager_node_cidr_mask_size": network.node_cidr_mask_size,
        **inputs.files_of("kube_controller_manager"),
        "kube_controller_manager_pki_dir": inputs.pki,
        "kube_controller_manager_signs_apart": (inputs.state.pki / SIGNING).exists(),
        "kube_controller_manager_extra_args": inputs.extra_args("kube-controller-manager"),
    }


def kube_scheduler(inputs: Inputs) -> Variables:
    """Of the role ``kube_scheduler``."""
    return {
        "kube_scheduler_cluster": inputs.cluster,
        **inputs.files_of("kube_scheduler"),
        "kube_scheduler_pki_dir": inputs.pki,
        "kube_scheduler_extra_args": inputs.extra_args("kube-scheduler"),
        "kube_scheduler_extra_config": inputs.extra_config("kube-scheduler"),
    }
