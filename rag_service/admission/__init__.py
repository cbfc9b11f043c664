"""Who may ask how much, and how much one process takes on."""
