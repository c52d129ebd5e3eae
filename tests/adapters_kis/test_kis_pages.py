"""Pages: the header decides, the context goes back as it came, and nothing is endless."""

import asyncio

import pytest
from test_kis_requests import ACCOUNT

from adapters.kis import errors, requests
from adapters.kis.pages import all_pages
from adapters.kis.parse import Answer

REQUEST = requests.orders(ACCOUNT, "20261117", "20261117")


def page(number, next_key=None, **more):
    """Return an answer that holds one row; ``next_key`` is None on the last page."""
    given = {
        "endpoint": requests.ORDERS,
        "code": "",
        "text": "",
        "outputs": {"output1": ({"odno": str(number)},)},
        "fields": {},
        "more": next_key is not None,
        "context": {"CTX_AREA_FK100": "A".ljust(100), "CTX_AREA_NK100": (next_key or "").ljust(100)}
    } | more  # fmt: skip
    return Answer(**given)


NOTHING = page(0, outputs={}, doubtful=True)


class Script:
    """Answers one question after another; an exception among them is raised."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def ask(self, request):
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def follow(*answers, most=10):
    script = Script(*answers)
    found = asyncio.run(all_pages(script, REQUEST, most))
    return found, script


def numbers(found):
    return [row.text("odno") for each in found.answers for row in each.rows("output1")]


def test_the_context_of_each_page_asks_for_the_next_one():
    found, script = follow(page(1, "k1"), page(2, "k2"), page(3))
    assert (numbers(found), found.complete, found.why) == (["1", "2", "3"], True, "")
    assert [each.continued for each in script.asked] == [False, True, True]
    keys = [each.fields["CTX_AREA_NK100"] for each in script.asked]
    assert keys == ["", "k1".ljust(100), "k2".ljust(100)]
    assert {each.fields["INQR_STRT_DT"] for each in script.asked} == {"20261117"}


def test_one_page_is_all_there_is_whatever_its_context_says():
    found, _ = follow(page(1, more=False, context={"CTX_AREA_NK100": "more"}))
    assert (numbers(found), found.complete) == (["1"], True)


@pytest.mark.parametrize(
    ("answers", "rows", "why"),
    [
        ([page(1, "k"), page(2, "k"), page(3)], ["1", "2"], "repeat the same context"),
        ([page(1, "k"), page(2, "l"), page(3, "k ")], ["1", "2", "3"], "repeat the same context"),
        ([page(1, "k", context={})], ["1"], "no context"),
        ([page(1, "k", context={"CTX_AREA_FK100": " " * 100})], ["1"], "no context"),
        ([page(n, f"k{n}") for n in range(4)], ["0", "1", "2"], "more than 3 pages"),
        ([page(1, "k"), errors.VenueBusy("It is busy.")], ["1"], "It is busy"),
        ([page(1, "k"), errors.MalformedAnswer("No JSON.")], ["1"], "No JSON"),
    ],
)
def test_a_list_that_is_cut_short_says_so(answers, rows, why):
    found, _ = follow(*answers, most=3)
    assert (numbers(found), found.complete) == (rows, False)
    assert why in found.why


@pytest.mark.parametrize(
    "error",
    [errors.BadCredentials("no"), errors.TokenRejected("no"), errors.RequestRefused("no")],
)
def test_what_people_must_act_on_is_raised_on_any_page(error):
    for before in ([], [page(1, "k")]):
        with pytest.raises(type(error)):
            follow(*before, error)


def test_the_first_page_raises_what_it_meets():
    with pytest.raises(errors.VenueBusy):
        follow(errors.VenueBusy("It is busy."))


def test_nothing_to_show_as_a_failure_is_asked_once_more():
    found, script = follow(NOTHING, page(1))
    assert (numbers(found), found.complete, len(script.asked)) == (["1"], True, 2)
    found, script = follow(NOTHING, NOTHING)
    assert (numbers(found), found.complete, len(script.asked)) == ([], True, 2)
    found, script = follow(page(1, "k"), NOTHING, NOTHING)
    assert (numbers(found), found.complete, len(script.asked)) == (["1"], True, 3)


def test_a_doubtful_page_does_not_hide_the_pages_after_it():
    found, _ = follow(NOTHING, page(1, "k"), page(2))
    assert numbers(found) == ["1", "2"]
