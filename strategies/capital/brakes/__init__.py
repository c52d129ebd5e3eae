"""What slows the capital manager or stops it, each with its way back: one module per brake."""
