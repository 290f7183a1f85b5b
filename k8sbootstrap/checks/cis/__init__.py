"""The CIS benchmark: kube-bench runs on every host, and each control is a check."""
