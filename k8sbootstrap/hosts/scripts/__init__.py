"""Programs that run on hosts, never on the controller. Each prints one JSON document."""
