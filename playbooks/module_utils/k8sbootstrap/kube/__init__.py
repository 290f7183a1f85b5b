"""Kubernetes and etcd as they answer on this host."""
