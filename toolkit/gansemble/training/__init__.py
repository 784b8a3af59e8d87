"""The loop: parts built from a recipe, one step with no branch on any method, checkpoints that resume exactly."""
