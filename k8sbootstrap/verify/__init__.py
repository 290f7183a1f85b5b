"""Is this cluster working? Named checks of a running cluster, judged from what its hosts and its API say."""
