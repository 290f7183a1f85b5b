"""k8sbootstrap turns bare Linux hosts into a highly available Kubernetes cluster."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("k8sbootstrap")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0.0.0"
