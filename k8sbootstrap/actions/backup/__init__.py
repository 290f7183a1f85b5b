"""Backups: all that a cluster is rebuilt from, in one encrypted file."""
