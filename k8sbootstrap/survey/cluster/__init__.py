"""What a running cluster's hosts and its API say of it at one moment."""
