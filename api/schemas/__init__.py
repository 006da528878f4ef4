"""Bodies of requests and answers, by area. Strict: an unknown member, or a number where text is meant, is refused."""
