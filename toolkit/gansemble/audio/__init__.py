"""Audio: the specification, features, files and levels. Importing this package imports no torch."""
