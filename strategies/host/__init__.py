"""The one host of a run: ``core`` without an engine, ``shell`` as the engine's only Strategy."""
