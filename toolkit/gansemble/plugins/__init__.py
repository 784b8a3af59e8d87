"""Plugins: how they are found, the registry of their parts, and how the constructors of parts are read."""
