"""What the works agreement permits: the document, consents, the draw's rules, the decision. Pure: no I/O, no clock."""
