"""What no grant may exceed: one module per family of limits."""
