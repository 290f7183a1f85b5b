"""What doctor asks a cluster's hosts and its API, and what they said."""
