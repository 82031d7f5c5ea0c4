"""Names of the files that the stages hand on."""

VECTORS = "vectors.npy"
EMBEDDER = "embedder.json"
CHUNKS = "chunks.parquet"
HOLDOUT = "questions.jsonl"
SKIPPED = "skipped.json"
STALE = "stale.json"
