"""The error tree, split by what the caller does.

OnetapeError
|-- BadInput          tell the user, exit 2: what was given is wrong; nothing was changed
`-- RunFailed         tell the user, exit 1: the run (or check) was valid and failed
    |-- DeciderFailed     a decider raised; the run stops, its cause is kept
    |-- InvariantBroken   our own books disagree; the run stops at once
    `-- JournalFailed     the journal could not be written; trading stops

Every text is one sentence: what, where, and what to do.
"""


class OnetapeError(Exception):
    """Root of all errors that end in one sentence for the user."""


class BadInput(OnetapeError):
    """The user gave something that cannot work; nothing was changed."""


class RunFailed(OnetapeError):
    """The work began and could not be finished."""


class DeciderFailed(RunFailed):
    """A decider raised, or returned what cannot be carried out.

    ``what`` and ``place`` say it without the advice for people: where it is journalled.
    """

    def __init__(self, text: str, what: str = "", place: str = "") -> None:
        super().__init__(text)
        self.what = what or text
        self.place = place


class InvariantBroken(RunFailed):
    """Two of our own accounts of the same thing disagree."""


class JournalFailed(RunFailed):
    """The journal could not be written."""
