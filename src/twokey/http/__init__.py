"""HTTP: from bytes to a caller and a question, from an answer or an error to bytes."""
