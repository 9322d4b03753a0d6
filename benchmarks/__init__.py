"""What is fast, measured, with what it is compared to."""
