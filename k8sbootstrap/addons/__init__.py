"""Objects that go into the cluster once it is up: the project's own, and those that cluster.yaml names."""
