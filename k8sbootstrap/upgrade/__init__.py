"""From one Kubernetes release to another: what runs now, whether the step is allowed, and what it takes."""
