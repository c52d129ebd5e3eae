"""Days like a table: exactly its open, high, low, close and volume, within a consistent book."""

import gzip
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from generated_days import assert_consistent
from hypothesis import example, given
from hypothesis import strategies as st

from catalog.generate.chance import Chance
from catalog.generate.day import generate_day
from catalog.generate.factors import draw_exposure, draw_factors
from catalog.generate.like import read_like
from catalog.generate.market import DEMO_SESSIONS, generate_like, like_plan
from catalog.generate.targets import Targets
from catalog.store import Store
from strategies.errors import BadInput
from strategies.ports import StreamKind

DAY = date(2026, 3, 9)
ENGLISH = "Code,Date,Open,High,Low,Close,Volume\n"
KOREAN = "종목코드,종목명,종가,시가,고가,저가,거래량\n"
REAL = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "krx" / "cross_section"


@st.composite
def targets(draw: st.DrawFn) -> Targets:
    low = draw(st.integers(1, 2_000_000))
    high = draw(st.integers(low, low + draw(st.sampled_from([0, 1, 50, 20_000, low]))))
    prices = st.integers(low, high)
    shape = Targets(draw(prices), high, low, draw(prices), 1_000)
    volume = draw(st.integers(shape.prints_needed, shape.prints_needed + 10_000))
    return Targets(shape.open, high, low, shape.close, volume)


@given(targets(), st.integers(1, 60), st.integers(0, 2**32))
@example(Targets(1, 2, 1, 1, 4), 1, 84978)  # interrupted before its second quote
def test_a_day_hits_its_targets_exactly(wanted: Targets, trades: int, seed: int) -> None:
    factors = draw_factors(Chance(1, "factors"), 380)
    exposure = draw_exposure(Chance(seed))
    plan = like_plan(DEMO_SESSIONS[0], wanted, min(trades, wanted.volume), exposure, factors)
    tape = generate_day(Chance(seed), plan)
    prices = tape.price.tolist()
    assert (prices[0], max(prices), min(prices), prices[-1]) == (
        wanted.open,
        wanted.high,
        wanted.low,
        wanted.close,
    )
    assert int(tape.size.sum()) == wanted.volume
    assert_consistent(tape)


def table(folder: Path, text: str, name: str = "listing_2026-03-09.csv") -> Path:
    path = folder / name
    data = text.encode("cp949" if "종목" in text else "utf-8-sig")
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def test_english_names_and_dates(tmp_path: Path) -> None:
    text = ENGLISH + '005930,2026-03-10,"1,000",1100,900,1050,50\n0,2026-03-09,1,1,1,1,1\n'
    text += "000660,2026-03-10,0,0,0,5000,0\n"
    read = read_like(table(tmp_path, text))
    assert list(read.days) == [DAY, date(2026, 3, 10)]
    assert read.days[date(2026, 3, 10)] == {"005930": Targets(1_000, 1_100, 900, 1_050, 50)}
    assert read.silent == 1


@pytest.mark.parametrize("name", ["data_20260309.csv", "data_2026-03-09.csv.gz"])
def test_korean_names_in_cp949_and_a_date_in_the_files_name(tmp_path: Path, name: str) -> None:
    read = read_like(table(tmp_path, KOREAN + "005930,삼성전자,1050,1000,1100,900,50\n", name))
    assert read.days == {DAY: {"005930": Targets(1_000, 1_100, 900, 1_050, 50)}}


def test_a_day_may_be_said(tmp_path: Path) -> None:
    path = table(tmp_path, KOREAN + "005930,가,5,5,5,5,50\n", "listing.csv")
    assert list(read_like(path, DAY).days) == [DAY]
    with pytest.raises(BadInput, match="--start"):
        read_like(path)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("005930,2026-03-09,5,4,3,4,9", "row 2: 005930 has open 5, high 4"),
        ("005930,2026-03-09,5,6,3,4,3", "row 2: 005930 cannot have these 4 prices"),
        ("005930,2026-03-09,5.5,6,3,4,9", "row 2: open '5.5' is no whole number"),
        ("005930,2026-03-09,x,6,3,4,9", "row 2: open 'x' is no whole number"),
        ("00593012,2026-03-09,5,6,3,4,9", "row 2: '00593012' is no KRX share code"),
        ("005930,soon,5,6,3,4,9", "row 2: 'soon' is no date"),
        (
            "005930,2026-03-09,5,6,3,4,9\n005930,2026-03-09,5,6,3,4,9",
            "row 3: 005930 is there twice",
        ),
        ("005930,2026-03-09,0,0,0,4,0", "no row with a volume"),
    ],
)
def test_rows_that_no_day_can_be_are_named(tmp_path: Path, row: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read_like(table(tmp_path, ENGLISH + row + "\n"))


def test_a_table_without_the_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no column means code, volume"):
        read_like(table(tmp_path, "date,open,high,low,close\n1,2,3,4,5\n"))
    with pytest.raises(BadInput, match="cannot be read"):
        read_like(tmp_path / "absent.csv")


def test_the_catalog_holds_the_tables_days(tmp_path: Path) -> None:
    wanted = {
        "005930": Targets(70_000, 71_000, 69_000, 70_500, 100_000),
        "000660": Targets(1_000, 1_000, 1_000, 1_000, 1),
    }
    store = Store(tmp_path)
    with store.importing() as batch:
        generate_like(
            batch, [(DEMO_SESSIONS[0], wanted)], like="table.csv", seed=1, trades_per_day=50
        )
    trades = pq.read_table(store.files(StreamKind.TRADES, "000660.KRX")[0])
    assert trades["price"].to_pylist() == [1_000]
    info = next(each for each in store.streams() if each.topic == "005930.KRX")
    assert info.sources == ("generated like table.csv, seed 1",)


@pytest.mark.real_data
def test_a_whole_real_market_day_is_hit(tmp_path: Path) -> None:
    path = REAL / "listing_krx_2026-03-09.csv.gz"
    if not path.exists():
        pytest.skip("../shared/data/krx/cross_section is absent")
    days = read_like(path).days[DAY]
    factors = draw_factors(Chance(1, "factors"), 380)
    for number, (code, wanted) in enumerate(days.items()):
        exposure = draw_exposure(Chance(1, code))
        plan = like_plan(DEMO_SESSIONS[0], wanted, min(40, wanted.volume), exposure, factors)
        tape = generate_day(Chance(1, code), plan)
        hit = (tape.price[0], tape.price.max(), tape.price.min(), tape.price[-1], tape.size.sum())
        assert hit == (wanted.open, wanted.high, wanted.low, wanted.close, wanted.volume), code
        if number % 20 == 0:
            assert_consistent(tape)
    assert len(days) > 2_700
