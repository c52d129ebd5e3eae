"""One module per command of the `onetape` program.

Each has ``register(commands, shared)``, which adds its parser and sets ``run`` as a default, and
``run(args, screen) -> int``, which returns the exit code. Bad input is raised as BadInput.
"""
