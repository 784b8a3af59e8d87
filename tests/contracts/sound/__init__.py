"""Sound parts of unusual kinds, one module for each kind of part: what the conformance kit must let pass."""
