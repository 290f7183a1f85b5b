"""The variables of every role: of the whole cluster, and of one host (``own_ROLE``)."""
