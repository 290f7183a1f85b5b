"""The pods and Services that checks of a cluster try: made, used, removed."""
