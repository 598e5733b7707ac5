"""One paper, one file, one class: only what the paper changes."""
