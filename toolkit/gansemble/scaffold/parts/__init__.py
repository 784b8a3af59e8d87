"""One working part of each kind; ``Acme`` and ``acme`` stand for the new plugin's name."""
