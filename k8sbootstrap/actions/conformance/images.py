"""Has nodes get the images that tests start."""

import json
import threading
from collections.abc import Collection
from importlib.resources import files
from pathlib import Path

from k8sbootstrap.actions.conformance.ready import Ready
from k8sbootstrap.actions.upload import OutgoingFile, arriving
from k8sbootstrap.checks.conformance.answers import IMAGES, ToldImages
from k8sbootstrap.errors import K8sBootstrapError, VerifyError
from k8sbootstrap.formats.text import some
from k8sbootstrap.host_code import program
from k8sbootstrap.hosts import ask as asking
from k8sbootstrap.hosts.ask import Question
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.models import ClusterPlan, HostPlan

DOWN = "If a host is known to be down, name it with --allow-down."
_SECONDS_TO_ARRIVE = 600.0
_AT_ONCE = 5
"""Nodes that are sent images at the same time."""
_NAMES = 4


def load_images(plan: ClusterPlan, pool: Pool, ready: Ready, without: Collection[str]) -> list[str]:
    """Have all nodes that tests start pods on get the images.

    Args:
        plan: The cluster.
        pool: Connections to the hosts.
        ready: What is on the controller.
        without: Names of hosts that are down.

    Returns:
        Which images are lacking where, and why: a line for each image.

    Raises:
        VerifyError: A node has no runtime that answers, or lacks the image that nearly all tests start.
    """
    nodes = {host.name: host for host in plan.nodes if host.name not in without and not _keeps_pods_off(host)}
    turns = threading.BoundedSemaphore(_AT_ONCE)

    def load(name: str, session: asking.Session) -> ToldImages:
        return _load_on(nodes[name], session, plan.config.runtime.name, ready, turns)

    answers = pool.on_all((host.ssh for host in nodes.values()), load)
    lost = [str(answer) for answer in answers.values() if isinstance(answer, K8sBootstrapError)]
    told = {name: answer.lacking for name, answer in answers.items() if isinstance(answer, ToldImages)}
    lost += [f"{name}: {lacking['']}" for name, lacking in told.items() if "" in lacking]
    if lost:
        raise VerifyError(f"Conformance was not run: {'; '.join(lost)}", hint=DOWN)
    refs = [image.ref for image in next(iter(ready.images.values()))]
    lines, where = [], {ref: [name for name in told if ref in told[name]] for ref in refs}
    for ref, names in where.items():
        if names:
            lines.append(f"{ref} is not on {some(names, _NAMES)}: {told[names[0]][ref]}")
    if where[refs[0]]:
        raise VerifyError(
            f"Conformance was not run: nearly all tests start an image that is not there: {lines[0]}",
            hint="Let nodes reach registry.k8s.io or a mirror of it (runtime.registries in cluster.yaml), or "
            f"put archives of the images into a source of artifacts: {_place(ready, refs[0])} and so on.",
        )
    return lines


def _place(ready: Ready, ref: str) -> str:
    """Where the archive of an image is in a source of artifacts."""
    found = (image for images in ready.images.values() for image in images if image.ref == ref)
    return next(image.artifact.key for image in found)


def _keeps_pods_off(host: HostPlan) -> bool:
    return any(taint.effect != "PreferNoSchedule" for taint in host.taints)


def _load_on(
    host: HostPlan,
    session: asking.Session,
    runtime: str,
    ready: Ready,
    turns: threading.BoundedSemaphore,
) -> ToldImages:
    """Have one node get the images: those that have an archive here are sent if the node lacks them."""
    images = ready.images[host.arch]
    here = {
        image.ref: ready.fetched[image.artifact.key]
        for image in images
        if image.artifact.key in ready.fetched
    }
    script = program(Path(str(files("k8sbootstrap.hosts.scripts"))) / "images.py")

    def ask(request: dict[str, object]) -> ToldImages:
        text = json.dumps(
            {"runtime": runtime, "load": [], "pull": [], "seconds": _SECONDS_TO_ARRIVE} | request
        )
        return asking.ask(host.name, session, Question(script, text), IMAGES, timeout=3 * _SECONDS_TO_ARRIVE)

    missing = ask({"look": [image.ref for image in images]}).lacking
    if "" in missing or not missing:
        return ToldImages(missing)
    to_load = {ref: here[ref] for ref in missing if ref in here}
    sent = [OutgoingFile(file.path, file.sha256) for file in to_load.values()]
    to_pull = [ref for ref in missing if ref not in here]
    with arriving(host, sent, turns) as arrival:
        load = [
            {"ref": ref, "path": f"{arrival.folder}/{file.sha256}", "sha256": file.sha256}
            for ref, file in to_load.items()
        ]
        return ask({"load": load, "pull": to_pull})
