"""Rules about the way of packets: between pods, and to Services."""

from ipaddress import IPv4Network

from k8sbootstrap.checks.doctor.case import Case, HostView
from k8sbootstrap.checks.doctor.rule import Findings, found, on
from k8sbootstrap.formats.text import count
from k8sbootstrap.survey.doctor.requests import MISSING, ROUTES_KEPT, SERVICE, keeps_routes

_RESTORE = "systemctl reload-or-restart k8s-pod-network"
_SHOWN = 5


def keepers(case: Case) -> Findings:
    """What sets routes and packet rules for pods, and sets them again, does not run.

    Fix: Run `systemctl start UNIT` there, with the unit that doctor names.
    """
    for view in case.hosts.values():
        for name in (each.removesuffix(".service") for each in ROUTES_KEPT):
            unit = view.unit(name)
            if not unit.known or unit.active:
                continue
            yield found(
                view.name,
                f"{name}.service is {unit.state}: routes to pods that are taken off do not come back",
                on(view.name, f"systemctl start {name}") if unit.loaded else "Run: k8sbootstrap up",
                evidence=[f"systemctl: {name}.service is {unit.state}, result {unit.result or 'unknown'}"],
                since=view.left(name),
                harmless=True,
            )
            break


def routes(case: Case) -> Findings:
    """A node has no route to the pods of another node.

    Fix: Run `systemctl reload-or-restart k8s-pod-network` there. If a route is still missing, run
    `k8sbootstrap up`.
    """
    ranges = {name: cidr for name, node in case.nodes.items() if (cidr := _range(node.spec.pod_cidr))}
    names = {cidr: name for name, cidr in ranges.items()}
    for view in case.on_each(lambda host: keeps_routes(case.plan, host)):
        gone = [cidr for line in _missing(view, "route") if (cidr := _range(line))]
        if view.routes is not None and view.name in ranges:
            known = {route.destination for route in view.routes} | {ranges[view.name]}
            gone += [cidr for cidr in names if cidr not in known and cidr not in gone]
        if gone:
            to = [names.get(cidr, str(cidr)) for cidr in gone]
            yield found(
                view.name,
                f"has no route to the pods of {' and '.join(to)}",
                on(view.name, _RESTORE) + ". If a route is still missing, run: k8sbootstrap up",
                evidence=[
                    f"ip route: nothing for {cidr} ({name})" for cidr, name in zip(gone, to, strict=True)
                ][:_SHOWN],
            )


def pod_rules(case: Case) -> Findings:
    """A node lacks the packet rules of the pod network.

    Fix: Run `systemctl reload-or-restart k8s-pod-network` there. If a rule is still missing, run
    `k8sbootstrap up`.
    """
    for view in case.on_each(lambda host: keeps_routes(case.plan, host)):
        gone = _missing(view, "rule")
        if gone:
            yield found(
                view.name,
                f"lacks {count(len(gone), 'packet rule')} of the pod network",
                on(view.name, _RESTORE) + ". If one is still missing, run: k8sbootstrap up",
                evidence=[f"iptables has no rule {each}" for each in gone][:_SHOWN],
            )


def _missing(view: HostView, kind: str) -> list[str]:
    """What the program that sets routes and packet rules says is missing."""
    lines = (line.partition(" ") for line in view.printed(MISSING).splitlines())
    return [what for word, _, what in lines if word == kind]


def services(case: Case) -> Findings:
    """A node does not reach Services at their addresses.

    Fix: Run `systemctl restart kube-proxy` there. Where cilium replaces kube-proxy, look at its pods.
    """
    for view in case.on_each(lambda host: host.is_node):
        said = view.http(SERVICE)
        if said is None or said.status:
            continue
        address = case.plan.kubernetes_service_ip
        yield found(
            view.name,
            f"does not reach Services: {address} (the Service kubernetes) does not answer",
            _service_fix(case, view),
            evidence=[f"https://{address}/readyz: {said.error}", *_lacking(view)],
        )


def _service_fix(case: Case, view: HostView) -> str:
    if case.plan.has_kube_proxy:
        return on(view.name, "systemctl restart kube-proxy")
    return "Run: k8sbootstrap kubectl -n kube-system get pods -l k8s-app=cilium -o wide"


def _lacking(view: HostView) -> list[str]:
    """What tells that kube-proxy's rules are gone."""
    network = view.plan.config.network
    wanted = view.plan.has_kube_proxy and network.kube_proxy_mode == "iptables"
    has = any(line.startswith(":KUBE-SERVICES") for line in view.rules)
    return ["iptables-save: there is no chain KUBE-SERVICES"] if wanted and not has else []


def _range(text: str) -> IPv4Network | None:
    try:
        return IPv4Network(text)
    except ValueError:
        return None
