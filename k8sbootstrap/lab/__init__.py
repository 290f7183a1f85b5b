"""Disposable hosts to try k8sbootstrap on and for the end-to-end tests."""
