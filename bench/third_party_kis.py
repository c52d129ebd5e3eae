"""Other people's KIS clients against `onetape venue kis`: a second opinion on the venue server.

Rule: the clients are no part of this project: they live in an environment of their own, made by
hand, and this file needs nothing but them and the standard library. What they cannot do against
KIS either (see DIFFERENCES) is avoided by the way they are called, and named, not mended here.

    python3.13 -m venv /tmp/kis-clients
    /tmp/kis-clients/bin/pip install python-kis typing_extensions mojito2 pandas
    /tmp/kis-clients/bin/python -m bench.third_party_kis
"""

import argparse
import asyncio
import importlib.util
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
REST_HOST = "https://openapi.koreainvestment.com:9443"
MOCK_REST_HOST = "https://openapivts.koreainvestment.com:29443"
SOCKET_HOST = "ws://ops.koreainvestment.com:21000"
MASTER_FOLDER = "https://new.real.download.dws.co.kr/common/master"

DIFFERENCES = (
    "both read frames of exactly 46, 59 and 23 fields, as before 2026-09: --old-frames",
    "python-kis asks an approval key per registration, KIS grants one a second since 2026-04: "
    "--limit token_requests_per_s=50",
    "python-kis asks balances by INQR_DVSN 02, which KIS refuses since 2026-02: put right to 01",
    "python-kis asks overseas services for all countries, which are not played: asked for KR only",
    "python-kis reads minutes up to 000000 when no end is given, which nothing documents: given",
    "python-kis takes 40 registrations for the most, and prices of daily orders from the fills",
    "mojito2 sends as fast as it can: --limit requests_per_s=100, in mock investment too",
    "mojito2 decrypts notices with the key of whichever book or notice was registered last",
)
"""What was seen at python-kis 2.1.6 and mojito2 0.1.6."""

_STEPS_S = 15.0


class Stuck(Exception):
    """A step failed that all others need."""


@dataclass
class Steps:
    """What one client did: each step with what it found, or the error that ended it."""

    client: str
    failed: int = 0

    def do(
        self,
        name: str,
        work: Callable[[], Any],
        *,
        so: Callable[[Any], bool] = bool,
        needed: bool = False,
    ) -> Any:
        """Do a step, print what became of it and return its result (None where it failed)."""
        try:
            result = work()
            problem = "" if so(result) else f"unexpected: {result!r:.200}"
        except Exception as error:  # noqa: BLE001 - a foreign client may raise whatever it likes
            result, problem = None, f"{type(error).__name__}: {str(error).splitlines()[0]:.160}"
        self.failed += bool(problem)
        print(f"{self.client:<13}{name:<34}{problem or 'ok'}", flush=True)
        if problem and needed:
            raise Stuck(name)
        return result

    def refused(self, name: str, work: Callable[[], Any], code: str) -> None:
        """Do a step that must end in an error with this code."""

        def expect() -> str:
            try:
                return json.dumps(work(), ensure_ascii=False, default=str)
            except Exception as error:  # noqa: BLE001 - as above
                return str(error)

        self.do(name, expect, so=lambda text: code in text)


def until(ready: Callable[[], Any]) -> Any:
    """Wait for something to come true; returns its last value."""
    ends = time.monotonic() + _STEPS_S
    while not (value := ready()) and time.monotonic() < ends:
        time.sleep(0.05)
    return value


@contextmanager
def venue(onetape: Path, home: Path, environment: str) -> Iterator[dict[str, Any]]:
    """Run the venue server at ten o'clock of the last weekday that it calls a trading day."""
    for back in range(14):
        day = date.today() - timedelta(days=back)  # noqa: DTZ011 - the clients ask for local days
        process = subprocess.Popen(
            [
                *(onetape, "venue", "kis", "--json", "--generate", "2", "--old-frames"),
                *("--from", f"{day}T10:00:00", "--limit", "token_requests_per_s=50"),
                *("--env", environment, "--limit", "requests_per_s=100"),
            ],
            env={**os.environ, "ONETAPE_HOME": str(home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        told = process.stdout.readline() if process.stdout else ""
        if process.wait(10) if '"settings"' not in told else False:
            continue
        try:
            yield json.loads(told) | {"day": f"{day:%Y%m%d}"}
        finally:
            process.terminate()
            process.communicate()
        return
    raise SystemExit(f"{onetape} serves no day of the last two weeks: try {onetape} venue kis.")


def redirect(settings: dict[str, str]) -> None:
    """Send what requests would send to KIS to the venue server instead."""
    import requests

    places = {
        REST_HOST: settings["ONETAPE_KIS_REST_URL"],
        MOCK_REST_HOST: settings["ONETAPE_KIS_REST_URL"],
        MASTER_FOLDER: settings["ONETAPE_KIS_MASTER_URL"],
    }
    original = requests.Session.request

    def request(session: Any, method: str, url: str, **more: Any) -> Any:
        place = next((each for each in places if url.startswith(each)), None)
        if place is None:
            raise ConnectionError(f"{url.partition('?')[0]} is none of the venue's addresses")
        query = more.get("params")
        if isinstance(query, dict) and query.get("INQR_DVSN") == "02":
            query["INQR_DVSN"] = "01"
        return original(session, method, places[place] + url.removeprefix(place), **more)

    requests.Session.request = request


def admin(settings: dict[str, str]) -> dict[str, Any]:
    """Return what the server saw and its books."""
    url = f"{settings['ONETAPE_KIS_REST_URL']}/admin.json"
    with urllib.request.urlopen(url) as reply:  # noqa: S310 - our own server on this machine
        found: dict[str, Any] = json.load(reply)
        return found


def held_shares(settings: dict[str, str], code: str) -> int:
    """Return what the server's books hold of a stock."""
    held = admin(settings)["accounts"][0]["positions"].get(code, {"quantity": 0})
    return int(held["quantity"])


# --- python-kis ---------------------------------------------------------------------------------


def python_kis(told: dict[str, Any]) -> int:
    """Trade with python-kis; returns how many steps failed."""
    settings, code = told["settings"], told["instruments"][0]
    steps = Steps("python-kis")
    kis = steps.do("token", lambda: _pykis(settings), needed=True)
    stock, account = kis.stock(code), kis.account()
    quote = steps.do("price", stock.quote, so=lambda found: found.price > 0, needed=True)
    steps.do("book", stock.orderbook, so=lambda found: len(found.asks) == len(found.bids) == 10)
    end = _time(15, 30)
    steps.do("minutes", lambda: stock.day_chart(end=end), so=lambda found: len(found.bars) >= 60)
    steps.do("days", lambda: stock.chart("5d"), so=lambda found: found.bars)
    steps.do("buying power", lambda: stock.orderable_amount(price=quote.price))
    heard = _pykis_streams(steps, stock, account)
    _pykis_orders(steps, settings, stock, account, int(quote.price))
    steps.do("trades heard", lambda: until(lambda: heard["price"]))
    steps.do("books heard", lambda: until(lambda: heard["orderbook"]))
    # Receipts of a buy, a limit buy, an amendment (2), a cancellation (2) and a sell, two fills.
    steps.do("notices heard", lambda: until(lambda: len(heard["execution"]) >= 9))
    filled = sum(each.executed_quantity for each in heard["execution"] if not each.receipt)
    steps.do("notices decrypted", lambda: filled, so=lambda shares: shares >= 14)
    return steps.failed


def _pykis(settings: dict[str, str]) -> Any:
    import logging
    import warnings

    import pykis.client.websocket as socket
    from pykis import KisAuth, PyKis

    logging.disable(logging.ERROR)  # it tells of every registration, and that the server stopped
    warnings.simplefilter("ignore")

    socket.WEBSOCKET_REAL_DOMAIN = settings["ONETAPE_KIS_WS_URL"].removesuffix("/tryitout")
    account = settings["ONETAPE_KIS_ACCOUNT"]
    return PyKis(
        KisAuth(
            id=settings["ONETAPE_KIS_HTS_ID"],
            appkey=settings["ONETAPE_KIS_APP_KEY"],
            secretkey=settings["ONETAPE_KIS_APP_SECRET"],
            account=f"{account[:8]}-{account[8:]}",
            virtual=False,
        )
    )


def _time(hour: int, minute: int) -> Any:
    from datetime import time as time_of_day

    return time_of_day(hour, minute)


def _pykis_streams(steps: Steps, stock: Any, account: Any) -> dict[str, list[Any]]:
    heard: dict[str, list[Any]] = {"price": [], "orderbook": [], "execution": []}
    kept = []
    for name, source in (("price", stock), ("orderbook", stock), ("execution", account)):
        keep = heard[name].append

        def hear(_: Any, event: Any, keep: Callable[[Any], None] = keep) -> None:
            keep(event.response)

        kept.append(steps.do(f"register {name}", lambda s=source, n=name, h=hear: s.on(n, h)))
        # What it registers while it connects, it may forget to send: the first comes alone.
        until(lambda: heard["price"])
    heard["kept"] = kept  # a registration ends with its ticket
    return heard


def _pykis_orders(
    steps: Steps, settings: dict[str, str], stock: Any, account: Any, price: int
) -> None:
    low = price // 1_000 * 1_000 - 5_000
    steps.do("market buy", lambda: stock.buy(qty=10))
    limit = steps.do("limit buy", lambda: stock.buy(price=low, qty=5), needed=True)
    steps.do("amend", lambda: limit.modify(price=low - 1_000))

    def is_amended(found: Any) -> bool:
        return [(int(each.price), int(each.qty)) for each in found.orders] == [(low - 1_000, 5)]

    pending = steps.do(
        "open orders", lambda: account.pending_orders("KR"), so=is_amended, needed=True
    )
    steps.do("cancel", pending.orders[0].cancel)
    steps.refused("cancel again", pending.orders[0].cancel, "APBK")
    steps.do("no open order", lambda: not account.pending_orders("KR").orders)
    steps.do("sell", lambda: stock.sell(qty=4))
    steps.refused("buy beyond the cash", lambda: stock.buy(price=price, qty=10**7), "APBK0952")
    steps.refused("sell beyond the shares", lambda: stock.sell(price=price, qty=99), "APBK0400")
    today = date.today()  # noqa: DTZ011 - what the client takes
    daily = steps.do("order list", lambda: account.daily_orders(today, country="KR"))
    filled = sum(int(each.executed_qty) for each in daily.orders) if daily else 0
    steps.do("fills of the list", lambda: filled, so=lambda shares: shares == 14)
    held = held_shares(settings, stock.symbol)

    def is_ours(found: Any) -> bool:
        return [int(each.qty) for each in found.stocks if each.symbol == stock.symbol] == [held]

    steps.do("balance equals the books", lambda: account.balance("KR"), so=is_ours)


# --- mojito2 ------------------------------------------------------------------------------------


def mojito2(told: dict[str, Any]) -> int:
    """Trade with mojito2; returns how many steps failed."""
    import mojito

    settings, code = told["settings"], told["instruments"][1]
    account = settings["ONETAPE_KIS_ACCOUNT"]
    keys = settings["ONETAPE_KIS_APP_KEY"], settings["ONETAPE_KIS_APP_SECRET"]
    steps = Steps("mojito2")
    broker = steps.do(
        "token",
        lambda: mojito.KoreaInvestment(*keys, f"{account[:8]}-{account[8:]}"),
        needed=True,
    )
    price = steps.do(
        "price", lambda: int(broker.fetch_price(code)["output"]["stck_prpr"]), needed=True
    )
    rows = steps.do("days", lambda: broker.fetch_ohlcv_recent30(code)["output"], needed=True)
    steps.do("day of the tape", lambda: rows[0]["stck_bsop_date"] == told["day"])
    steps.do("minutes", lambda: len(broker.fetch_today_1m_ohlcv(code, "150000")["output2"]) >= 60)
    masters = steps.do("KOSPI master file", broker.fetch_kospi_symbols, so=len, needed=True)
    steps.do("its codes", lambda: code in set(masters["단축코드"].astype(str)))
    steps.do("KOSDAQ master file", broker.fetch_kosdaq_symbols, so=len)
    heard: queue.Queue[Any] = queue.Queue()
    _mojito_listens(mojito, keys, settings, code, heard)
    steps.do("trades or books heard", lambda: until(heard.qsize))
    _mojito_orders(steps, settings, broker, code, price, has_open_orders=True)
    found = steps.do("notices heard", lambda: _notices(heard, 7))
    fills = [each for each in found or () if each["체결여부"] == "2"]
    steps.do("notices decrypted", lambda: {int(each["체결수량"]) for each in fills} == {3, 2})
    return steps.failed


def _mojito_listens(
    mojito: Any, keys: tuple[str, str], settings: dict[str, str], code: str, heard: queue.Queue[Any]
) -> None:
    from mojito import koreainvestment as module

    connect = module.websockets.connect

    def here(uri: str, **more: Any) -> Any:
        place = settings["ONETAPE_KIS_WS_URL"].removesuffix("/tryitout")
        return connect(uri.replace(SOCKET_HOST, place), **more)

    module.websockets.connect = here
    listener = mojito.KoreaInvestmentWS(
        *keys, ["H0STCNT0", "H0STASP0"], [code], user_id=settings["ONETAPE_KIS_HTS_ID"]
    )
    listener.queue = heard

    def listen() -> None:
        with suppress(module.websockets.ConnectionClosed):  # the server stops before it does
            asyncio.run(listener.ws_client())

    threading.Thread(target=listen, daemon=True).start()


def mojito2_mock(told: dict[str, Any]) -> int:
    """Trade with mojito2 in KIS's mock investment, whose services and TR ids differ."""
    import mojito

    settings, code = told["settings"], told["instruments"][0]
    account = settings["ONETAPE_KIS_ACCOUNT"]
    keys = settings["ONETAPE_KIS_APP_KEY"], settings["ONETAPE_KIS_APP_SECRET"]
    steps = Steps("mojito2 mock")
    broker = steps.do(
        "token",
        lambda: mojito.KoreaInvestment(*keys, f"{account[:8]}-{account[8:]}", mock=True),
        needed=True,
    )
    price = steps.do("price", lambda: int(broker.fetch_price(code)["output"]["stck_prpr"]))
    _mojito_orders(steps, settings, broker, code, price, has_open_orders=False)
    return steps.failed


def _mojito_orders(
    steps: Steps,
    settings: dict[str, str],
    broker: Any,
    code: str,
    price: int,
    *,
    has_open_orders: bool,
) -> None:
    def is_sent(answer: dict[str, Any]) -> bool:
        return answer["rt_cd"] == "0" and bool(answer["output"]["ODNO"])

    low = price // 1_000 * 1_000 - 5_000
    steps.do("market buy", lambda: broker.create_market_buy_order(code, 3), so=is_sent)
    limit = steps.do(
        "limit buy", lambda: broker.create_limit_buy_order(code, low, 2), so=is_sent, needed=True
    )
    number = limit["output"]["ODNO"]
    branch = limit["output"]["KRX_FWDG_ORD_ORGNO"]
    query = {"CTX_AREA_FK100": "", "CTX_AREA_NK100": "", "INQR_DVSN_1": "0", "INQR_DVSN_2": "0"}
    if has_open_orders:
        steps.do(
            "open orders",
            lambda: [each["odno"] for each in broker.fetch_open_order(query)["output"]] == [number],
        )
    else:
        steps.refused("open orders", lambda: broker.fetch_open_order(query), "EGW02004")
    steps.do("cancel", lambda: broker.cancel_order(branch, number, 0, total=True), so=is_sent)
    steps.refused(
        "cancel again", lambda: broker.cancel_order(branch, number, 0, total=True), "APBK"
    )
    steps.do("sell", lambda: broker.create_market_sell_order(code, 2), so=is_sent)
    held = held_shares(settings, code)

    def is_ours(found: dict[str, Any]) -> bool:
        rows = [int(each["hldg_qty"]) for each in found["output1"] if each["pdno"] == code]
        return rows == [held] and int(found["output2"][0]["prvs_rcdl_excc_amt"]) > 0

    steps.do("balance equals the books", broker.fetch_balance, so=is_ours)


def _notices(heard: queue.Queue[Any], count: int) -> list[dict[str, str]]:
    """Take notices off the queue, trades and books aside."""
    found: list[dict[str, str]] = []

    def take() -> bool:
        with suppress(queue.Empty):
            while True:
                kind, value = heard.get_nowait()
                found.extend([value] if kind == "체잔" else [])
        return len(found) >= count

    until(take)
    return found


# --- all of them --------------------------------------------------------------------------------

CLIENTS: dict[str, tuple[str, str, Callable[[dict[str, Any]], int]]] = {
    "python-kis": ("pykis", "real", python_kis),
    "mojito2": ("mojito", "real", mojito2),
    "mojito2-mock": ("mojito", "mock", mojito2_mock),
}
"""Name -> its module, the environment it is run in, what it does."""


def main(argv: list[str]) -> int:
    """Run every client that is installed, each against a server of its own; 1 if a step failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.third_party_kis")
    parser.add_argument("--onetape", type=Path, default=PROJECT / ".venv" / "bin" / "onetape")
    parser.add_argument("--client", choices=CLIENTS, help="this one only")
    args = parser.parse_args(argv)
    if args.client:
        return _alone(args.client, args.onetape.resolve())
    here = [name for name, each in CLIENTS.items() if importlib.util.find_spec(each[0])]
    if not here:
        print(
            f"None of {', '.join(CLIENTS)} is installed for {sys.executable}: make an environment "
            "of their own as the head of bench/third_party_kis.py says.",
            file=sys.stderr,
        )
        return 2
    # A process for each: they leave threads that never end, and one has patched what it uses.
    ended = [subprocess.call([*_this(args.onetape), "--client", name]) for name in here]
    print("known differences:", *DIFFERENCES, sep="\n  ")
    return int(any(ended))


def _this(onetape: Path) -> tuple[str, ...]:
    return sys.executable, "-m", "bench.third_party_kis", "--onetape", str(onetape)


def _alone(name: str, onetape: Path) -> int:
    _, environment, client = CLIENTS[name]
    with tempfile.TemporaryDirectory(prefix="kis-clients-") as folder:
        os.chdir(folder)  # mojito2 keeps its token and the master files where it is
        with venue(onetape, Path(folder), environment) as told:
            redirect(told["settings"])
            try:
                failed = client(told)
            except Stuck as step:
                failed = 1
                print(f"{name:<13}stopped: nothing more can be done without {step}.", flush=True)
            violations = admin(told["settings"])["saw"]["violations"]
            print(f"{name:<13}{'violations the server saw':<34}{violations or 'none'}", flush=True)
        os.chdir(PROJECT)
    return int(failed > 0)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # the clients leave threads that never end
