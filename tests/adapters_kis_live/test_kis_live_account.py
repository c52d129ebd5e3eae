"""The account as it is read from the simulated KIS."""

from kis_desk import run

from adapters.kis.account import KisAccount

from kis_market import BASE, CODE, buy, quote  # isort: skip - on live_kis's path

CODES = tuple(f"99{number:04d}" for number in range(1, 8))
QUOTES = [quote(second, code=code) for second in (0, 5, 9) for code in CODES]


def test_all_pages_of_holdings_are_read_with_what_they_cost(tmp_path):
    async def body(one):
        exchange = one.server.venue.exchange
        for number, code in enumerate(CODES, start=1):
            exchange.submit(buy(number, 10_000, code=code))
        snapshot = await KisAccount(one.gateway).read()
        assert snapshot.complete
        assert one.seen.requests["inquire-balance"] == 4 + 1  # one at the start
        assert {code: each.quantity for code, each in snapshot.holdings.items()} == {
            code: number for number, code in enumerate(CODES, start=1)
        }
        assert snapshot.holdings[CODES[2]].cost_krw == 30_000
        assert snapshot.settled_krw == one.account.cash_won
        assert snapshot.today_krw == one.account.deposit_won
        assert snapshot.costs_today_krw == one.account.cost_today_won
        assert snapshot.quantity("000000") == 0
        assert one.gateway.config.account.number not in repr(snapshot)

    limits = {"requests_per_s": 1_000, "balance_page": 2}
    run(tmp_path, body, *QUOTES, codes=CODES, limits=limits)


def test_buying_power_is_asked_at_the_upper_limit(tmp_path):
    async def body(one):
        account = KisAccount(one.gateway)
        at_limit = await account.buying_power(CODE)
        assert at_limit.price_krw == BASE * 13 // 10
        assert at_limit.quantity == 100_000_000 // at_limit.price_krw - 1  # the fee, too
        assert (await account.buying_power(CODE, 10_000, "00")).quantity > at_limit.quantity

    run(tmp_path, body)
