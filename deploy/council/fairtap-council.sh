#!/bin/sh
# Linux: starts the council's tool in a terminal.
cd -- "$(dirname -- "$0")" || exit 2
exec python3 start.py "$@"
