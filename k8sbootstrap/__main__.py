"""``python -m k8sbootstrap``."""

from k8sbootstrap.cli import main

main()
