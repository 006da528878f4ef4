"""Formats and keys: JCS, age v1, SSHSIG, commitments, the draw's arithmetic. Sans-IO, on `cryptography` alone."""
