"""A record code as the page shows it and people write it down."""

from policy.record_code import GROUP


def print_code(digits: str) -> str:
    """`1234 5678 …`."""
    return " ".join(digits[at : at + GROUP] for at in range(0, len(digits), GROUP))
