"""Access to hosts over SSH: host keys, connections, and the one way to ask."""
