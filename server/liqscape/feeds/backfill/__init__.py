"""The past of venues, asked for page by page and kept as it came."""
