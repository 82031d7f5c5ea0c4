"""ZenML steps: thin shells that resolve inputs, call one plain function and hand on what came out."""
