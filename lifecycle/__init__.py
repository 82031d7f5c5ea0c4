"""What happens to every model, whatever its kind: plain Python, no ZenML and no BentoML."""
