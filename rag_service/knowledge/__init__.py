"""Finding: embeddings, the vector index, the retriever."""
