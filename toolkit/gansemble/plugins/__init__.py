"""What exists: plugins, the registry of their parts, and what constructors say."""
