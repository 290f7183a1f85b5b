"""cluster.yaml as pydantic models. The docstring under a field is its reference documentation.

Keys are camelCase in the file and snake_case here. Unknown keys are errors; ``config.explain`` suggests.
Rules that span fields live in ``config.rules``, so that every problem is collected in one pass.
"""
