"""Counts what pytest wrote as JUnit XML and says which reasons tests were skipped for: the last lines of `./check`."""

import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter


def main(path: str) -> int:
    """Print one line per reason and one with the counts; 1 where nothing was run."""
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for case in ElementTree.parse(path).iter("testcase"):
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            counts["failed"] += 1
        elif skipped is not None:
            counts["skipped"] += 1
            reasons[skipped.get("message") or "no reason given"] += 1
        else:
            counts["passed"] += 1
    for reason, times in reasons.most_common():
        print(f"skipped {times}: {reason}")
    print(f"check: {counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 0 if counts["passed"] else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except (OSError, ElementTree.ParseError) as error:
        sys.exit(f"no result of the tests to count: {error}")
