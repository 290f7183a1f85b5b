"""One file with all that a cluster is installed from, for sites without a network."""
