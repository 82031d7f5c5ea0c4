"""HTTP services over predictors: thin, and the only place that knows BentoML."""
