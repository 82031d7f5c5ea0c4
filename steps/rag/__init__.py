"""Steps of the RAG pipeline alone."""
