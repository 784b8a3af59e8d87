"""The conformance kit: fixtures and contracts any plugin's tests can use."""
