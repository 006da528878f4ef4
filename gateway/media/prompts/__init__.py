"""Prompts, notices and tones, and playing them into a flow."""
