"""The commands of `fairtap`, one module per area; what they share is in `api.commands.saying`."""
