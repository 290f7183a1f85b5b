"""The cluster at a glance: hosts, components, etcd, nodes and the certificates' expiry."""
