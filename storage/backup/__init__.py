"""Backups: one folder with all that a site needs to go on, save the vault (crypto.md §1: outside every backup)."""
