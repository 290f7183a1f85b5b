"""Formats of text that other programs read and write: YAML for Ansible, and YAML and JSON of any origin."""
