"""One folder a problem. See docs/use-cases.md."""
