"""The desired state of a cluster, computed once from its configuration and the release catalogue."""
