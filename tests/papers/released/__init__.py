"""Numbers measured once from released codes, and tests that hold ours to them without those codes."""
