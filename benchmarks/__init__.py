"""What k8sbootstrap costs: ratios of two things done alternately on one machine. See docs/benchmarks.md."""
