"""Reports of plans and results: text, Markdown, JSON over one record."""
