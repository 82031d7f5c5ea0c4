"""ZenML pipelines: which steps in which order."""
