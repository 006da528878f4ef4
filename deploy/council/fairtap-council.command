#!/bin/sh
# macOS: a double click opens this in Terminal.
cd -- "$(dirname -- "$0")" || exit 2
exec python3 start.py "$@"
