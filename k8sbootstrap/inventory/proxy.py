"""Variables that name the hosts' proxy, and maybe its password: in a file of the state directory.

The file is mode 0600; the inventory names it and its hash, as with ``k8sbootstrap.inventory.logins``.
"""

from k8sbootstrap.inventory.logins import keep_salted
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State


def write_proxy(plan: ClusterPlan, state: State) -> None:
    """Keep the proxy's variables in the state directory; without a proxy there is no file.

    Args:
        plan: The desired state.
        state: The cluster's state.

    Raises:
        StateError: The file cannot be read or written.
    """
    keep_salted(state.proxy, "variables", proxy_variables(plan), state)


def proxy_variables(plan: ClusterPlan) -> dict[str, str]:
    """Proxy variables in both spellings that programs look for; pods and Services stay direct.

    Addresses of hosts are not in it: a new host would restart the runtime on all the others.

    Args:
        plan: The desired state.
    """
    proxy = plan.config.proxy
    if not proxy.http and not proxy.https:
        return {}
    own = ["127.0.0.1", "localhost", ".svc", f".{plan.config.network.dns_domain}"]
    own += [str(plan.config.network.pod_cidr), str(plan.config.network.service_cidr)]
    own += [plan.local_registry.address] if plan.local_registry else []
    values = {
        "http_proxy": proxy.http,
        "https_proxy": proxy.https,
        "no_proxy": ",".join([*own, *proxy.no_proxy]),
    }
    return {
        spelling: value
        for name, value in values.items()
        if value is not None
        for spelling in (name, name.upper())
    }
