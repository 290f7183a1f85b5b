"""SSH to hosts: sessions, sudo, host keys, and many hosts at once."""
