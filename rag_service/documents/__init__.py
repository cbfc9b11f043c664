"""What is done with documents: accepted, listed, inspected."""
