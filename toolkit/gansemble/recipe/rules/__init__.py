"""What a recipe must keep to before anything is built."""
