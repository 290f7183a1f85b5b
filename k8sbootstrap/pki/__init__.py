"""Certificates, keys and kubeconfigs of a cluster, issued once and kept."""
