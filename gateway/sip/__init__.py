"""Lossless SIP core without I/O (RFC 3261, 3581, 6026): messages, transactions, Record-Route proxy."""
