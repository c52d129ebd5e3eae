"""Constructed WebSocket messages of KIS and ways to damage them; all values are invented.

Rule: a mutation is a function of a seeded generator and a message, so that a finding can be
repeated from its seed and number.
"""

import base64
import random
from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from nautilus_trader.model import InstrumentId, OrderBookDepth, QuoteTick, TradeTick

from adapters.kis import market
from adapters.kis.errors import KisError, ProtocolError
from adapters.kis.fields import NOTICE_TRS
from adapters.kis.frames import Control, Decoder, Frame, NeedMore, PingPong
from adapters.kis.ticks import TickReader

KEY, IV = "KISsimKEY0123456789abcdefghijklm", "KISsimIV01234567"
DAY = "20261117"
IDS = {code: InstrumentId.from_str(f"{code}.KRX") for code in ("123450", "0001A0")}

_TRADE = (
    "123450^100512^50300^2^300^0.60^50200.00^50200^50500^49900^50300^50200^7^412345^20699719000"
    "^1210^1355^145^107.97^180000^194345^1^0.47^20.62^090012^2^100^093105^5^-200^091822^2^400"
    "^20261117^20^N^830^1264^18420^22110^0.41^380000^108.51^0^^50200^2"
)
_TRADES = (
    "123450^100513^50200^2^200^0.40^50200.00^50200^50500^49900^50300^50200^20^412365^20700723000"
    "^1211^1355^144^107.96^180020^194345^5^0.47^20.62^090012^3^0^093105^5^-300^091822^2^300"
    "^20261117^20^N^830^1244^18420^22090^0.41^380010^108.51^0^^50200^2",
    "123450^100513^50300^2^300^0.60^50200.00^50200^50500^49900^50300^50200^3^412368^20700873900"
    "^1211^1356^145^107.96^180020^194348^1^0.47^20.62^090012^2^100^093105^5^-200^091822^2^400"
    "^20261117^20^N^827^1244^18417^22090^0.41^380010^108.52^0^^50200^2",
)
TRADE = f"0|H0STCNT0|001|{_TRADE}"
TRADE_46 = TRADE.removesuffix("^2")
TRADE_48 = f"{TRADE}^X"
TWO_TRADES = f"0|H0STCNT0|002|{'^'.join(_TRADES)}"
BOOK = (
    "0|H0STASP0|001|123450^100513^0^50300^50400^50500^50600^50700^50800^50900^51000^51100^51200"
    "^50200^50100^50000^49900^49800^49700^49600^49500^49400^49300^827^1510^2204^998^1766^2310"
    "^1425^3011^2166^2200^1244^1875^2010^2301^1599^2750^2212^1983^3016^3100^18417^22090^0^0^0^0^0"
    "^-50000^5^-100.00^412368^-3^0^0^0^0^50250^0^0^2"
)
BOOK_59 = BOOK.removesuffix("^50250^0^0^2")
AUCTION_BOOK = (
    BOOK.replace("^100513^0^", "^084500^B^")
    .replace("^22090^0^0^0^0^0^", "^22090^0^0^50250^1234^1234^")
    .replace("^-50000^5^-100.00^", "^250^2^0.50^")
)
INDEX = (
    "0|H0UPCNT0|001|0001^100513^4123.45^2^12.30^412368^9876543^12^345^0.30^4111.00^4130.10^4101.20"
    "^12.45^2^-6.65^5^22.25^2^0.00^0.46^-0.24^1^512^60^350^0^10^5^1.20"
)
STATUS_10 = "0|H0STMKO0|001|123450^N^(null)^112^112^0^0^00^N^N"
STATUS_VI = "0|H0STMKO0|001|123450^N^(null)^112^112^0^0^00^Y^N^1"
EXPECTED = f"0|H0STANC0|001|{'^'.join(_TRADE.split('^')[:45])}^0"

RECEIPT_TEXT = (
    "simuser1^1234567801^0000010001^^02^0^00^0^123450^0000000010^000050200^100510^0^1^1^00950"
    "^000000010^TESTER^000000000^1^Y^^00^^SAMPLECO^"
)
RECEIPT = (
    "1|H0STCNI0|001|nM++3+scxJRUyD1i3MQwDdhSdZn3S9vBS2sgSyNPUSqYMMo2erd6L1BV6n//1Rf/wP8H2JOa4vU8OL"
    "t2idtoTKLC3tSW4ZIaeMa6J8T6fc0XghcDXaf9qQFhfUVKZ5AAQ5ZUsYQ2c4RcEy9UNbUvAZFmRQHAuKDn8VPAuXeiYFB"
    "/uLVErG0B6GeFqlJ9tgPJ"
)
FILL_TEXT = (
    "simuser1^1234567801^0000010001^^02^0^00^0^123450^0000000004^000050200^100513^0^2^2^00950"
    "^000000010^TESTER^000000000^1^Y^^00^^SAMPLECO^000050200"
)
FILL = (
    "1|H0STCNI0|001|nM++3+scxJRUyD1i3MQwDdhSdZn3S9vBS2sgSyNPUSqYMMo2erd6L1BV6n//1Rf/v8cd/kaQJJQx8/"
    "pjv4t0Zeu8Wvedcn7upJkoGBPzz86yMVZLfh1dmKPvU7LVaextf8fLYEIjU6x+B+5iqdGBWD16ur585Xe/jEWNtBNOQkn"
    "JmINnKXoju0MBlYlQq48T"
)
CANCEL = (
    "1|H0STCNI0|001|nM++3+scxJRUyD1i3MQwDWjYA5a8MawATOHdzQXJnIF9Xol6+So1T49NrTSHx/VB0U5zwEczFjd4nq"
    "IkQR/gmiZyLZDSyyNJsCAFcBhC11AqOaBSBHTrgNQqd5ho7PNXWmauESpf9cqlwuunqM7hMdQ41UCrGqFwX/AMZvGt7rs"
    "/GBHGwEjiOvfygUWz2fkh/yxYTHnaGP4h78YLx8kPyw=="
)
REJECT = (
    "1|H0STCNI0|001|nM++3+scxJRUyD1i3MQwDQ0hyGrZGl4CpfQJ11KOR0W1DNTaIuUxCnH1MtstnVsu3Yz3i/SPB+2lVa"
    "vARO1gLqYsJ89H/MjC9c2cKLwEkoVNDYJUbRQaVqlTIdnxpHZ/9YztUN8xalO+PeOUspBME3aVVqimTGUvzFkBhwF6slS"
    "v6Wqm4jqeGYUAWM5L0E5D"
)
ACK_NOTICE = (
    '{"header":{"tr_id":"H0STCNI0","tr_key":"simuser1","encrypt":"Y"},"body":{"rt_cd":"0","msg_cd":'
    '"OPSP0000","msg1":"SUBSCRIBE SUCCESS","output":{"iv":"KISsimIV01234567","key":'
    '"KISsimKEY0123456789abcdefghijklm"}}}'
)
IN_USE = (
    '{"header":{"tr_id":"(null)","tr_key":"","encrypt":"N"},"body":{"rt_cd":"9","msg_cd":"OPSP8996",'
    '"msg1":"ALREADY IN USE appkey"}}'
)
PING = '{"header":{"tr_id":"PINGPONG","datetime":"20261117100520"}}'


def ack(code: str, tr_id: str = "H0STCNT0", tr_key: str = "123450", rt_cd: str = "1") -> str:
    """Return an answer without a key."""
    return (
        f'{{"header":{{"tr_id":"{tr_id}","tr_key":"{tr_key}","encrypt":"N"}},"body":{{"rt_cd":'
        f'"{rt_cd}","msg_cd":"{code}","msg1":"WORDS"}}}}'
    )


ALL = (
    TRADE, TRADE_46, TRADE_48, TWO_TRADES, BOOK, BOOK_59, AUCTION_BOOK, INDEX, STATUS_10,
    STATUS_VI, EXPECTED, RECEIPT, FILL, CANCEL, REJECT, ACK_NOTICE, IN_USE, PING,
    ack("OPSP0002"), ack("OPSP0008"), ack("OPSP0001", rt_cd="0"),
)  # fmt: skip

# --- mutations ---------------------------------------------------------------------------------

_SIGNS = '0123456789|^^^{}":,-._ +/=NY(null)\x00\t\n\u0663\u3131\ud800ABC' + chr(0xFF11)

type Mutation = Callable[[random.Random, str], str]


def _cut(rng: random.Random, text: str) -> str:
    return text[: rng.randrange(len(text) + 1)]


def _drop(rng: random.Random, text: str) -> str:
    start = rng.randrange(len(text) + 1)
    return text[:start] + text[start + rng.randrange(1, 9) :]


def _insert(rng: random.Random, text: str) -> str:
    start = rng.randrange(len(text) + 1)
    return text[:start] + "".join(rng.choices(_SIGNS, k=rng.randrange(1, 4))) + text[start:]


def _replace(rng: random.Random, text: str) -> str:
    start = rng.randrange(len(text) + 1)
    return text[:start] + rng.choice(_SIGNS) + text[start + 1 :]


def _repeat(rng: random.Random, text: str) -> str:
    start = rng.randrange(len(text) + 1)
    end = min(len(text), start + rng.randrange(1, 200))
    return text[:end] + text[start:end] + text[end:]


def _splice(rng: random.Random, text: str) -> str:
    other = rng.choice(ALL)
    return text[: rng.randrange(len(text) + 1)] + other[rng.randrange(len(other)) :]


def _field(rng: random.Random, text: str) -> str:
    """Replace one field by another value of some kind."""
    fields = text.split("^")
    values = ("", "0", "-1", "99999999999999999999", "1e5", "NaN", "1_0", "Y", fields[0])
    fields[rng.randrange(len(fields))] = rng.choice(values)
    return "^".join(fields)


def _head(rng: random.Random, text: str) -> str:
    """Change flag, TR id or count."""
    parts = text.split("|", 3)
    others = ("0", "1", "2", "H0STCNT0", "H0STASP0", "H0STCNI0", "H0STMKO0", "000", "003", "", "9")
    parts[rng.randrange(len(parts))] = rng.choice(others)
    return "|".join(parts)


def _sealed(rng: random.Random, text: str) -> str:
    """Put noise, or a damaged notice under the right key, into an encrypted frame."""
    if text.startswith("1") and rng.random() < 0.5:
        blocks = rng.randbytes(16 * rng.randrange(1, 12))
        return f"1|H0STCNI0|001|{base64.b64encode(blocks).decode()}"
    plain = rng.choice((RECEIPT_TEXT, FILL_TEXT))
    return sealed(rng.choice((_field, _replace, _drop, _insert, _cut))(rng, plain))


def sealed(text: str, tr_id: str = "H0STCNI0", count: int = 1) -> str:
    """Return the encrypted frame of a notice's text."""
    content = text.encode(errors="replace")
    fill = 16 - len(content) % 16
    locked = Cipher(AES(KEY.encode()), CBC(IV.encode())).encryptor()
    blocks = locked.update(content + bytes([fill]) * fill) + locked.finalize()
    return f"1|{tr_id}|{count:03d}|{base64.b64encode(blocks).decode()}"


MUTATIONS: tuple[Mutation, ...] = (
    _cut, _drop, _insert, _replace, _repeat, _splice, _field, _field, _head, _sealed,
)  # fmt: skip


def mutated(rng: random.Random) -> str | bytes:
    """Return a damaged message: one to three mutations, now and then as bytes or mere noise."""
    if rng.random() < 0.01:
        return rng.randbytes(rng.randrange(200))
    text = rng.choice(ALL)
    for _ in range(rng.choice((1, 1, 2, 3))):
        text = rng.choice(MUTATIONS)(rng, text)
    return text.encode(errors="replace") if rng.random() < 0.1 else text


# --- what must come out ------------------------------------------------------------------------


class Reading:
    """Decodes messages and reads what they hold, as a client does; counts the outcomes."""

    def __init__(self) -> None:
        self.decoder = Decoder()
        self.reader = TickReader(IDS)
        self.decoder.decode(ACK_NOTICE)
        self.outcomes: dict[str, int] = {}

    def read(self, message: str | bytes) -> None:
        """Read one message. Raises whatever is neither a value nor an error of the protocol."""
        try:
            decoded = self.decoder.decode(message)
            if isinstance(decoded, Frame):
                self._values(decoded)
            elif not isinstance(decoded, Control | PingPong | NeedMore):
                raise TypeError(f"{type(decoded)} is no message")
            outcome = type(decoded).__name__
        except ProtocolError as error:
            outcome = type(error).__name__
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    def _values(self, frame: Frame) -> None:
        tr_id = frame.layout.tr_id
        if tr_id == "H0STCNT0":
            batch = self.reader.trades(frame, 1)
            check_trades(batch.ticks)
            if not all(isinstance(one, KisError) for one in batch.refused):
                raise TypeError("a refused record is no error")
            check_quotes(self.reader.trade_quotes(frame, 1))
        elif tr_id == "H0STASP0":
            check_depth(self.reader.depth(frame, DAY, 1))
            quote = self.reader.quote(frame, DAY, 1)
            check_quotes([] if quote is None else [quote])
            self.reader.expected(frame, DAY)
        elif tr_id in NOTICE_TRS:
            check_notices(market.notices(frame))
        elif tr_id in {"H0UPCNT0", "H0UPANC0"}:
            market.index_values(frame)
        elif tr_id == "H0STMKO0":
            market.market_statuses(frame)
        elif tr_id == "H0STANC0":
            market.expected_trades(frame)


def check_trades(ticks: list[TradeTick]) -> None:
    """Raise TypeError for a trade that no exchange makes."""
    for tick in ticks:
        if not (tick.price.raw > 0 and tick.size.raw > 0 and tick.price.precision == 0):
            raise TypeError(f"a trade of {tick.size} at {tick.price}")


def check_quotes(quotes: list[QuoteTick]) -> None:
    """Raise TypeError for a quote without a price or size."""
    for quote in quotes:
        if not (quote.bid_price.raw > 0 and quote.ask_price.raw > 0 and quote.bid_size.raw > 0):
            raise TypeError(f"a quote {quote}")


def check_depth(depth: OrderBookDepth) -> None:
    """Raise TypeError for a level without price or size."""
    for level in (*depth.bids, *depth.asks):
        if not (level.price.raw > 0 and level.size.raw > 0):
            raise TypeError(f"a level of {level.size} at {level.price}")


def check_notices(notices: list[market.Notice]) -> None:
    """Raise TypeError for a notice with values of the wrong kind."""
    for notice in notices:
        if not (
            len(notice.number) == 10 and notice.quantity >= 0 and isinstance(notice.price, int)
        ):
            raise TypeError(f"a notice {notice}")
