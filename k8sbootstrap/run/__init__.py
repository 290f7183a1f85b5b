"""The engine of a run: session, record, events, display, ansible-playbook, hooks and the lock."""
