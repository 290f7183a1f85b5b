"""cluster.yaml: its models, loading it with every problem found, and its reference documentation."""
