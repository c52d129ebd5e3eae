"""DECIDE: strategies, the capital manager, their messages, ports and host; facts of markets."""
