"""What people and machines use: HTTP API, pages, command line, and the supervisor that starts all processes."""
