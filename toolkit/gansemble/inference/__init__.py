"""What was trained, at work."""
