"""BentoML services: predictors over HTTP."""
