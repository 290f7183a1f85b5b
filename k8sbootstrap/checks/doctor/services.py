"""Rules about the systemd services that the cluster consists of."""

import re

from k8sbootstrap.checks.doctor.case import Case, HostView
from k8sbootstrap.checks.doctor.rule import Findings, found, on
from k8sbootstrap.checks.framework import Verdict
from k8sbootstrap.plan.components import Component, port_number
from k8sbootstrap.survey.doctor.parse import Unit
from k8sbootstrap.survey.facts import Listener

RUNTIMES = ("containerd", "docker", "cri-dockerd")
_PROCESS_NAME = 15
"""Characters that the kernel keeps of a process's name."""
_SETTING = re.compile(
    r"unknown (?:long |shorthand )?flag|flag provided but not defined|invalid argument \"|invalid value|"
    r"failed to load kubelet config file|failed to validate kubelet|couldn't (?:get|load|parse)|"
    r"failed to parse|error unmarshal|strict decoding error|unknown field|unrecognized feature gate|"
    r"conflicting environment|error verifying flags|invalid configuration|unable to load configuration",
    re.IGNORECASE,
)
_LATELY = 60.0
"""Seconds within which systemd has started a component again that can't start."""
_USAGE = re.compile(r"^\s*-{1,2}[a-z]")


def host_stopped(case: Case) -> Findings:
    """All services of a host are stopped, as by k8sbootstrap stop.

    Fix: Run `k8sbootstrap start NAME`.
    """
    stopped = {view.name: view for view in case.hosts.values() if _is_stopped(view)}
    whole = len(stopped) == len(case.plan.hosts)
    for name, view in stopped.items():
        yield found(
            name,
            f"all services are stopped: {', '.join(view.components)}",
            f"Run: k8sbootstrap start{'' if whole else f' {name}'}",
            evidence=[
                f"systemctl: {each}.service is {view.unit(each).state}, result {view.unit(each).result}"
                for each in list(view.components)[:3]
            ],
            since=view.left(next(iter(view.components))),
        )


def _is_stopped(view: HostView) -> bool:
    """Whether nothing runs; some may have failed to end in time."""
    states = [view.unit(name).state.partition(" ")[0] for name in view.components]
    return "inactive" in states and set(states) <= {"inactive", "failed"}


def port_taken(case: Case) -> Findings:
    """Another program listens at the port of a component, which can't start because of that.

    Fix: `ss -ltnp` shows the program. Stop it, then start the component.
    """
    for view in case.hosts.values():
        for component in view.components.values():
            if not trouble_of(view, component.name):
                continue
            for port in component.ports:
                holder = _other(view, port_number(port.number, case.plan))
                if holder is not None:
                    yield _taken(view, component, holder)


def _other(view: HostView, port: int) -> Listener | None:
    """A program that is none of the cluster's and listens at the port."""
    ours = {name[:_PROCESS_NAME] for name in view.components}
    return next((each for each in view.listeners if each.port == port and each.process not in ours), None)


def _taken(view: HostView, component: Component, holder: Listener) -> Verdict:
    return found(
        view.name,
        f"{component.name} can't start: {holder.process or 'another program'} listens at its port "
        f"{holder.port}",
        on(view.name, f"ss -ltnp 'sport = :{holder.port}'")
        + f". Stop what it shows, then run: {_start(component.name)}",
        evidence=[
            f"ss: {holder.address}:{holder.port} {holder.process}",
            *view.last_trouble(component.name),
        ],
        since=view.left(component.name),
    )


def wrong_setting(case: Case) -> Findings:
    """A component does not take one of its flags, or its configuration file, and can't start.

    Fix: Put the setting right under `kubernetes.extraArgs` or `extraConfig` in cluster.yaml. Then run
    `k8sbootstrap up`.
    """
    for view in case.hosts.values():
        for component in view.components.values():
            if not trouble_of(view, component.name):
                continue
            line = _complaint(view, component.name)
            if line:
                yield found(
                    view.name,
                    f"{component.name} does not take its settings",
                    "Put the setting right in cluster.yaml if it is there. Then run: k8sbootstrap up",
                    evidence=[f"journal of {component.name}: {line}"],
                    since=view.left(component.name),
                )


def _complaint(view: HostView, component: str) -> str:
    """The newest line in which a component complains about a setting.

    It is none of a component that was stopped. Of one that systemd starts again and again, which is active
    now and then, what it said a moment ago counts.
    """
    state = view.unit(component).state
    if state.startswith("inactive"):
        return ""
    for line in reversed(view.journal(component)):
        if not state.startswith("failed") and line.at < view.answer.clock[1] - _LATELY:
            break
        if line.program != "systemd" and _SETTING.search(line.text) and not _USAGE.match(line.text):
            return line.text
    return ""


def _down(case: Case, *names: str) -> Findings:
    for name in names:
        for view in case.having(name):
            trouble = trouble_of(view, name)
            if trouble:
                yield stopped(view, name, trouble)


def trouble_of(view: HostView, name: str) -> str:
    """What is wrong with a service; empty where nothing is."""
    unit, http = view.unit(name), view.http(name)
    if not unit.active:
        return _words(name, unit)
    if http is not None and not http.ok:
        return f"{name} is not well: {http.said}"
    return ""


def _start(name: str) -> str:
    """Starts a service that has failed; systemd refuses that for a while after some failures in a row."""
    return f"systemctl reset-failed {name}; systemctl restart {name}"


def stopped(view: HostView, name: str, trouble: str) -> Verdict:
    """A finding about a service, with what it wrote last."""
    unit = view.unit(name)
    fix = on(view.name, f"journalctl -u {name} -n 50")
    if not unit.loaded:
        fix = "Run: k8sbootstrap up"
    elif unit.state.startswith(("inactive", "failed")):
        fix = (
            on(view.name, _start(name) if unit.state.startswith("failed") else f"systemctl start {name}")
            + f". If it ends again, run: journalctl -u {name} -n 50"
        )
    evidence = [f"systemctl: {name}.service is {unit.state}, result {unit.result or 'unknown'}"]
    return found(
        view.name,
        trouble,
        fix,
        evidence=[*evidence, *view.last_trouble(name)],
        since=None if unit.active else view.left(name),
    )


def _words(name: str, unit: Unit) -> str:
    if not unit.loaded and unit.known:
        return f"{name}.service is not installed"
    words = f"{name}.service is {unit.state}"
    if unit.result == "oom-kill":
        return f"{words}: the kernel killed it for want of memory"
    if unit.restarts > 1 and unit.state.startswith(("activating", "failed")):
        return f"{words}: it was restarted {unit.restarts} times"
    return words


def runtime(case: Case) -> Findings:
    """The container runtime does not run.

    Fix: Run `systemctl start containerd` (or `docker`) there. If it ends again, `journalctl -u containerd -n
    50` says why.
    """
    seen: set[str] = set()
    for verdict in _down(case, *RUNTIMES):  # cri-dockerd goes down with docker
        if verdict.host not in seen:
            yield verdict
        seen.add(verdict.host)


def api_servers(case: Case) -> Findings:
    """An API server does not run, or is not ready.

    Fix: Run `systemctl start kube-apiserver` there. If it runs but is not ready, `journalctl -u
    kube-apiserver -n 50` says what it waits for. Most often that is etcd.
    """
    yield from _down(case, "kube-apiserver")


def load_balancers(case: Case) -> Findings:
    """The load balancer by which a worker reaches the API servers does not run.

    Fix: Run `systemctl start haproxy` there.
    """
    yield from _down(case, "haproxy")


def virtual_ips(case: Case) -> Findings:
    """The keepalived of a master does not run: the virtual IP of the API can't be there.

    Fix: Run `systemctl start keepalived` there.
    """
    yield from _down(case, "keepalived")


def controller_managers(case: Case) -> Findings:
    """A kube-controller-manager does not run, or is not well.

    Fix: Run `systemctl start kube-controller-manager` there.
    """
    yield from _down(case, "kube-controller-manager")


def schedulers(case: Case) -> Findings:
    """A kube-scheduler does not run, or is not well.

    Fix: Run `systemctl start kube-scheduler` there.
    """
    yield from _down(case, "kube-scheduler")


def kubelets(case: Case) -> Findings:
    """A kubelet does not run, or is not well.

    Fix: Run `systemctl start kubelet` there. If it ends again, `journalctl -u kubelet -n 50` says why.
    """
    yield from _down(case, "kubelet")


def kube_proxies(case: Case) -> Findings:
    """A kube-proxy does not run, or is not well: its node has no new rules for Services.

    Fix: Run `systemctl start kube-proxy` there.
    """
    yield from _down(case, "kube-proxy")
