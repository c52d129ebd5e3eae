"""All pages of one question: the answers in order, and whether they are the whole.

Rule: the ``tr_cont`` header decides whether there is more, the context asks for it as it came;
the same context twice, a context that is missing or one page too many ends the list as incomplete,
because a list that is cut short must never be taken for "there is nothing else".
"""

from dataclasses import dataclass
from typing import Protocol

from adapters.kis.errors import ProtocolError, Retry
from adapters.kis.parse import Answer
from adapters.kis.requests import Request, next_page


class Asks(Protocol):
    """Whoever brings KIS's answer to a request."""

    async def ask(self, request: Request) -> Answer:
        """Return the answer. Raises an error of the tree."""


@dataclass(frozen=True, slots=True)
class Pages:
    """Answers in the order they came; at least one.

    ``complete`` says that they are all there is; ``why`` says in words why they are not, empty
    where they are.
    """

    answers: tuple[Answer, ...]
    complete: bool
    why: str = ""


async def all_pages(http: Asks, request: Request, most_pages: int) -> Pages:
    """Ask a paged question until its last page, ``most_pages`` at most.

    Raises what the first page raises. On later pages what may be tried again (Retry) or cannot be
    read (ProtocolError) ends the list as incomplete; all other errors are raised, because people
    or the caller must act on them. A doubtful "nothing to show" is asked once more: twice it is
    an empty page.
    """
    answers = [await _surely(http, request)]
    asked: set[frozenset[tuple[str, str]]] = set()
    why = ""
    while answers[-1].more and not why:
        key = _key(answers[-1])
        if not key:
            why = f"KIS's answer to {request.endpoint.name} has a next page and no context for it"
        elif key in asked:
            why = f"KIS's answers to {request.endpoint.name} repeat the same context"
        elif len(answers) >= most_pages:
            why = f"{request.endpoint.name} has more than {most_pages} pages"
        else:
            asked.add(key)
            try:
                answers.append(await _surely(http, next_page(request, answers[-1].context)))
            except (Retry, ProtocolError) as error:
                why = str(error).removesuffix(".")
    return Pages(tuple(answers), not why, why)


def _key(answer: Answer) -> frozenset[tuple[str, str]]:
    """Return what tells one page's context from another's, padding aside; empty: there is none."""
    found = ((name, text.strip()) for name, text in answer.context.items())
    return frozenset(pair for pair in found if pair[1])


async def _surely(http: Asks, request: Request) -> Answer:
    answer = await http.ask(request)
    return await http.ask(request) if answer.doubtful else answer
