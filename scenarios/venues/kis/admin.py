"""The admin page: what the venue saw and what its books say, as JSON values and as HTML.

Rule: no secret is shown, appkeys only by their first four characters; nothing here changes state.
"""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from scenarios.venues.kis.books import Account
from scenarios.venues.kis.market_time import stamp
from scenarios.venues.kis.orders import Order
from scenarios.venues.kis.sessions import SessionDesk
from scenarios.venues.kis.venue import Venue


def values(venue: Venue, sessions: SessionDesk, wall_ns: int) -> dict[str, Any]:
    """Return everything as JSON values."""
    exchange = venue.exchange
    return {
        "simulator": "onetape venue kis",
        "environment": venue.environment.value,
        "market_time": stamp(exchange.now_ns),
        "market_time_ns": exchange.now_ns,
        "wall_ns": wall_ns,
        **venue.time.announced(),
        "phase": exchange.phase.value,
        "symbols": len(exchange.symbols),
        "sessions": [
            {
                "number": session.number,
                "app_key": f"{session.app_key[:4]}..." if session.app_key else "",
                "registrations": [list(tr) for tr in session.registered],
                "frames": session.sent_frames,
            }
            for session in sessions.sessions.values()
        ],
        "registrations_held": sum(len(each.registered) for each in sessions.sessions.values()),
        "registrations_limit": venue.numbers.registrations,
        "saw": venue.witness.values(),
        "faults_armed": [
            {"kind": fault.kind.value, "count": fault.count, "match": fault.match}
            for fault in venue.faults.armed
        ],
        "faults_struck": dict(venue.faults.struck),
        "accounts": [account_values(each) for each in exchange.books.accounts.values()],
    }


def account_values(account: Account) -> dict[str, Any]:
    """Return one account's books as JSON values."""
    return {
        "account": account.number,
        "cash_won": account.cash_won,
        "reserved_won": account.reserved_won,
        "deposit_won": account.deposit_won,
        "next_day_won": account.next_day_won,
        "cost_today_won": account.cost_today_won,
        "positions": {
            code: {"quantity": held.quantity, "paid_won": held.paid_won}
            for code, held in account.positions.items()
        },
        "orders": [order_values(order) for order in account.orders],
        "fills": [
            {
                "order": fill.number,
                "day": fill.day,
                "time": fill.time,
                "code": fill.code,
                "side": fill.side.name,
                "quantity": fill.quantity,
                "price": fill.price,
                "cost_won": fill.cost_won,
            }
            for fill in account.fills
        ],
    }


def order_values(order: Order) -> dict[str, Any]:
    """Return one order as JSON values."""
    return {
        "number": order.number,
        "original": order.original,
        "day": order.day,
        "time": order.time,
        "code": order.code,
        "side": order.side.name,
        "type": order.type.code,
        "is_cancel": order.is_cancel,
        "quantity": order.quantity,
        "price": order.price,
        "filled": order.filled,
        "filled_won": order.filled_won,
        "open": order.open_quantity,
        "cancelled": order.cancelled,
        "moved": order.moved,
        "rejected": order.rejected,
    }


_STYLE = """body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;
color-scheme:light dark}table{border-collapse:collapse;margin:.5rem 0 1.5rem;width:100%}
td,th{border-bottom:1px solid #8884;padding:.25rem .6rem;text-align:left;
font-variant-numeric:tabular-nums}h1{font-size:1.3rem}h2{font-size:1rem;margin-bottom:0}
.mark{background:#c60;color:#fff;padding:.1rem .5rem;border-radius:.3rem}
@media(max-width:600px){table{display:block;overflow-x:auto}}"""


def page(seen: dict[str, Any]) -> str:
    """Return the admin page."""
    saw = seen["saw"]
    facts = [
        ("market time", f"{seen['market_time']} KST, {seen['speed']:g} times as fast"),
        ("phase", seen["phase"]),
        ("registrations", f"{seen['registrations_held']} of {seen['registrations_limit']}"),
        ("most requests in a second", saw["most_requests_in_a_second"]),
        ("requests in the last busy seconds", _last_counts(saw["requests_per_second"])),
        ("frames sent", saw["frames_sent"]),
        ("orders that look like duplicates", len(saw["duplicate_orders"])),
    ]
    sockets = [
        (each["number"], each["frames"], ", ".join(" ".join(tr) for tr in each["registrations"]))
        for each in seen["sessions"]
    ]
    parts = [
        _table("Now", ("", ""), facts),
        _table("Sockets", ("socket", "frames", "registrations"), sockets),
        _table("Violations", ("what", "times"), saw["violations"].items()),
        _table("Requests", ("service", "times"), saw["requests"].items()),
        _table("Answers", ("code", "times"), saw["answers"].items()),
        _table("Faults struck", ("fault", "times"), seen["faults_struck"].items()),
        *(_account(account) for account in seen["accounts"]),
    ]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="5">'
        f"<title>KIS simulator</title><style>{_STYLE}</style>"
        f'<h1>onetape venue kis <span class="mark">simulator, {escape(seen["environment"])}</span>'
        f"</h1>{''.join(parts)}<p>As JSON: <a href='/admin.json'>/admin.json</a></p></html>"
    )


def _last_counts(per_second: Sequence[tuple[int, int]]) -> str:
    return ", ".join(str(count) for _, count in per_second[-10:]) or "none"


def _account(account: dict[str, Any]) -> str:
    names = ("number", "time", "code", "side", "type", "quantity", "price", "filled", "open")
    orders = [[order[name] for name in names] for order in account["orders"][-50:][::-1]]
    held = [(code, each["quantity"]) for code, each in account["positions"].items()]
    cash = [("cash", f"{account['cash_won']:,} won"), ("reserved", f"{account['reserved_won']:,}")]
    title = f"Account {account['account']}"
    return _table(title, ("", ""), [*cash, *held]) + _table("Last orders", names, orders)


def _table(title: str, names: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f"<h2>{escape(title)}</h2><table><tr>{head}</tr>{body or '<tr><td>none</td></tr>'}</table>"
    )
