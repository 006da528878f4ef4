"""The works council's own offline tool, a wheel of its own: mirrors and verifies the log, reports, cosigns, commits."""
