"""What stands between a command and ansible-playbook: phases, events, lock, progress, the run record."""
