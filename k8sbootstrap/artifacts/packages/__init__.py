"""Distribution packages: fetched for another system, and kept as a repository."""
