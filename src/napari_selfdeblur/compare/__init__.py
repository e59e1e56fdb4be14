"""What needs a known sharp image: metrics, alignment, the truth of one blurred image."""
