"""Names of the files that the stages hand on."""

EMBEDDER = "embedder.json"
HOLDOUT = "questions.jsonl"
ORIGINS = "origins.json"
SKIPPED = "skipped.json"
STALE = "stale.json"
