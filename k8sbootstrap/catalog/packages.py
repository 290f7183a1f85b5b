"""Distribution packages that hosts need, as data.

The names are Debian's, and Ubuntu's where it has the same ones.
"""

_BASE = ("conntrack", "ethtool", "iproute2", "iptables", "kmod", "socat")
_RUNTIME = {"docker": ("docker.io",), "containerd": ("containerd", "runc")}
_LOAD_BALANCER = ("haproxy",)
_RUNTIME_UNITS = ("containerd.service", "docker.service", "docker.socket")
_LOAD_BALANCER_UNITS = ("haproxy.service",)


def host_packages(runtime: str | None, *, balanced: bool) -> tuple[list[str], list[str]]:
    """Packages of one host, and the units in them that must wait for their configuration.

    Args:
        runtime: docker or containerd; None on a host that runs no pods.
        balanced: Whether the host reaches the API through its own haproxy.

    Returns:
        Package names, and unit names that must not start when the packages are installed.
    """
    packages = [*_BASE] if runtime else []
    units: list[str] = []
    if runtime:
        packages += _RUNTIME[runtime]
        units += _RUNTIME_UNITS
    if balanced:
        packages += _LOAD_BALANCER
        units += _LOAD_BALANCER_UNITS
    return packages, units
