"""Parts with one mistake each, beside a sound part of their kind: what the conformance kit must catch."""
