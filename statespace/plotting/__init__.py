"""Pictures of models and data: each function takes `ax=None` and returns the Axes."""
