"""ZenML steps: thin shells that resolve inputs, call one function and hand on what came out."""
