"""How packets get from one flow to the other: one seam, several implementations."""
