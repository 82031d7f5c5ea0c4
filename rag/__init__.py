"""Retrieval-augmented generation: sources, chunks, indexes, fusion, answers. Plain Python."""
