"""Gathers what the core needs, lets it decide, applies what it decided, in order."""
