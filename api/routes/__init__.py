"""The routes, one module per area of `/v1`, and the pages."""
