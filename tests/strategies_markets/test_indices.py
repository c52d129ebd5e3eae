"""An index can be watched with any setting, and never traded."""

from decimal import Decimal

import pytest
from nautilus_trader.model import Currency, IndexInstrument, InstrumentId, Price, Quantity, Symbol

from strategies.entries import TradeParams
from strategies.markets.indices import index_facts

SP500 = IndexInstrument(
    instrument_id=InstrumentId.from_str("SP500.INDEX"),
    raw_symbol=Symbol("SP500"),
    currency=Currency.from_str("USD"),
    price_precision=2,
    size_precision=0,
    price_increment=Price.from_str("0.01"),
    size_increment=Quantity.from_int(1),
    ts_event=0,
    ts_init=0,
)


def test_an_index_is_not_tradable_and_keeps_its_own_grid() -> None:
    facts = index_facts(SP500)
    assert not facts.tradable
    assert (facts.market.venue, facts.currency.code) == ("INDEX", "USD")
    assert facts.ticks.floor_raw(Price.from_str("1.239999").raw) == Price.from_str("1.23").raw


@pytest.mark.parametrize("quantity", [None, Decimal("0.00001"), Decimal(7)])
def test_no_setting_for_what_is_traded_is_refused_for_an_index_beside_it(
    quantity: Decimal | None,
) -> None:
    TradeParams(sides="long_short", quantity=quantity).check({SP500.id: index_facts(SP500)})
