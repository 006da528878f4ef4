"""Adds up what runs of pytest wrote as JUnit XML: why tests were skipped, then one line as pytest closes a run with.

`tally.py SECONDS FILE…`: the seconds that all of it took. The last lines of `./check`.
"""

import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta


def main(seconds: str, paths: Sequence[str]) -> int:
    """Print one line per reason and one with the counts; 1 where nothing was run."""
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for case in (case for path in paths for case in ElementTree.parse(path).iter("testcase")):
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
    told = (
        ", ".join(f"{counts[what]} {what}" for what in ("failed", "passed", "skipped") if counts[what])
        or "no tests ran"
    )
    print(f"===== {told} in {float(seconds):.2f}s ({timedelta(seconds=int(seconds))}) =====")
    return 0 if counts["passed"] else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1], sys.argv[2:]))
    except (OSError, ElementTree.ParseError) as error:
        sys.exit(f"no result of the tests to count: {error}")
