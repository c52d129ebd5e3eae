"""How a venue's budget is shared among its strategies: one module per method."""
