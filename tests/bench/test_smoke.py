"""The benchmark runs end to end at its smallest sizes; speed itself is judged by `make bench`."""

from bench import exactness
from bench.catalog import catalog
from bench.measures import QUICK, Figure, Rounds, bars


def test_bars_are_measured_and_traded_as_integers_say(tmp_path):
    figures = {figure.name: figure for figure in bars(tmp_path, QUICK)}
    assert figures["trades unlike integer arithmetic"].value == 0
    assert figures["bars against the bare engine"].value > 0
    assert figures["verify"].value > 0


def test_the_catalog_is_measured(tmp_path):
    figures = {figure.name: figure for figure in catalog(tmp_path, QUICK)}
    assert figures["import of a raw recording"].note == "5,000 frames"
    assert figures["import of a trade CSV"].note == "20,000 rows"
    assert figures["query"].note == "20,000 trades as Arrow"
    assert all(figure.value > 0 for figure in figures.values())


def test_reference_trades_where_the_side_changes_and_keeps_it_on_a_tie():
    sides = exactness.sides([0, 1, 0, -2, 0, -1, 3])
    assert sides == [0, 1, 1, -1, -1, -1, 1]
    first = exactness.trades(sides, 0)
    assert [side for _, side in first] == [1]  # the first side is not traded, nor is flat to flat


def test_verdict_is_by_the_side_of_the_target():
    assert Figure("a", 55, "%", 55, at_least=True).verdict == "PASS"
    assert Figure("a", 54.9, "%", 55, at_least=True).verdict == "MISS"
    assert Figure("a", 2.3, "x", 2.2).verdict == "MISS"
    assert Figure("a", 2.3, "x").verdict == ""


def test_ratio_is_the_median_of_pairs_and_rounds_alternate():
    order, values = [], iter([1, 2, 9, 3, 4, 4])

    def side(name):
        def run():
            order.append(name)
            return {"seconds": next(values)}

        return run

    rounds = Rounds({"a": side("a"), "b": side("b")}, 3)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert rounds.ratio("a", "b") == 0.5  # of 1/2, 3/9 and 4/4
