"""Rules and classic models: plain Python, no ZenML, no BentoML."""
