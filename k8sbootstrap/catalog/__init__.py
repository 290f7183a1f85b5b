"""The release catalogue: what can be installed, from where, and what each Kubernetes minor takes."""
