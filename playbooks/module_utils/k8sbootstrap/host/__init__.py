"""The host itself: its record, files, packages, units, firewall and kernel."""
