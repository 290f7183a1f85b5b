"""Cluster files for tests."""

from pathlib import Path

BAD = Path(__file__).parent / "bad"
HEAD = """\
apiVersion: k8sbootstrap/v1alpha1
kind: Cluster
name: demo
kubernetes: {version: 1.36.2}
"""
HOSTS = """\
hosts:
  - {name: m1, address: 10.0.0.11, roles: [master]}
  - {name: w1, address: 10.0.0.21, roles: [worker]}
"""
