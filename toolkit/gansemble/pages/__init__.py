"""Pages of results: one HTML file each, which needs no server, no network and no other file, with a comparison player."""
