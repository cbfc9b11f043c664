"""Speed and size, measured on real processes, each beside a baseline of the same run."""
