"""The ways in: what carries calls to the engine."""
