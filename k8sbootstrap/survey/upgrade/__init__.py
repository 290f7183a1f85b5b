"""From one Kubernetes release to another: what runs now, and what the step takes."""
