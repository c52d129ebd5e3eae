"""Orders against the simulated KIS: sent once, whatever is lost, late, repeated or refused."""

from kis_desk import run, spec


def test_an_order_is_filled_told_at_once_and_confirmed(tmp_path):
    async def body(one):
        await one.orders.submit("A", spec(10, 10_000))
        await one.until(lambda: one.told.of("filled"))
        await one.settled()
        assert one.told.story("A") == ["accepted", "filled"]
        assert one.told.of("named", "A")
        one.check_books()
        result = await one.check_account()
        assert result.cash.ours_krw == -100_000 - 15

    run(tmp_path, body)
