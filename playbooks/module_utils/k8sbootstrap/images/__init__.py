"""Container images: in the runtime, and in the cluster's own registry."""
