"""What each step of the RAG pipeline does, from folder to folder: one module a step.

Apart, so that an edit to one makes only the steps stale that depend on it.
"""
