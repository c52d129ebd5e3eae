"""RUN: composes a run from data: scenario files, wiring, replay, verify and the command line."""
