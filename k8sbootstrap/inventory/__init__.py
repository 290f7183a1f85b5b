"""The one place where configuration becomes Ansible variables.

``render.render_inventory`` writes a directory that ``ansible-playbook -i`` takes. It holds paths to secrets,
never secrets.
"""
