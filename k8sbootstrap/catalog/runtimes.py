"""Which versions of a container runtime go with a Kubernetes minor."""

from k8sbootstrap.catalog.data import load_catalogue, minor_of, numbers
from k8sbootstrap.catalog.models import Minor


def known_minors() -> list[str]:
    """Minors that the catalogue has, newest first."""
    return [each.minor for each in load_catalogue().minors]


def minor(version: str) -> Minor:
    """What the minor of a Kubernetes release takes; it must be a catalogued one."""
    return next(each for each in load_catalogue().minors if each.minor == minor_of(version))


def misfit(runtime: str, version: str, taken: Minor) -> str:
    """Say in words why a runtime can't be used; empty where it can.

    Args:
        runtime: docker or containerd.
        version: Its version, as in 1.7.24.
        taken: What the Kubernetes minor takes.
    """
    first = taken.runtimes.get(runtime, "")
    if numbers(version) < numbers(first):
        return f"Kubernetes {taken.minor} needs {runtime} {first} or later, not {version}"
    return ""


def docker_misfit(docker: str, cri_dockerd: str) -> str:
    """Say in words why cri-dockerd can't use a docker; empty where it can.

    Args:
        docker: Version of docker, as in 20.10.24.
        cri_dockerd: Version of cri-dockerd.
    """
    needs = load_catalogue().cri_dockerd_needs
    least = [needs[since] for since in needs if numbers(since) <= numbers(cri_dockerd)]
    first = max(least, key=numbers, default="")
    if numbers(docker) < numbers(first):
        return f"cri-dockerd {cri_dockerd} needs docker {first} or later, not {docker}"
    return ""
