"""Everything that survives a restart: blobs, vault, database. One process writes (`lock`); times come in."""
