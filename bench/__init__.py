"""How fast a page is, and what it costs: measured on the whole local stack."""
