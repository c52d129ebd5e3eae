"""One simulated KIS: gateway, services, socket registrations, faults and witness in one place.

Rule: pure; requests and messages come in with their wall time, answers and frames go out. What
the shell around it does is sockets and waiting.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from scenarios.venues.kis import quotations, trading
from scenarios.venues.kis.answers import (
    InputError,
    Reply,
    failed,
    gateway,
    unauthorized,
)
from scenarios.venues.kis.books import Account
from scenarios.venues.kis.cipher import secret_text
from scenarios.venues.kis.exchange import Exchange
from scenarios.venues.kis.faults import Fault, FaultBoard, FaultKind
from scenarios.venues.kis.limits import ApprovalDesk, RequestWindow, TokenDesk
from scenarios.venues.kis.market_time import MarketTime, stamp
from scenarios.venues.kis.matching import Side
from scenarios.venues.kis.order_desk import Ticket
from scenarios.venues.kis.personality import (
    LIMITS,
    NOTICE,
    SELL_TR_IDS,
    SERVICES,
    Environment,
    Limits,
    Service,
)
from scenarios.venues.kis.witness import Witness

TOKEN_PATH, APPROVAL_PATH = "/oauth2/tokenP", "/oauth2/Approval"
ORDER_PATH = "/uapi/domestic-stock/v1/trading/order-cash"
REVOKE_PATH, HASH_PATH = "/oauth2/revokeP", "/uapi/hashkey"

GATEWAY_TEXTS = {
    "EGW00102": "AppKey는 필수입니다.",
    "EGW00103": "유효하지 않은 AppKey입니다.",
    "EGW00104": "AppSecret은 필수입니다.",
    "EGW00105": "유효하지 않은 AppSecret입니다.",
    "EGW00116": "유효하지 않은 grant_type입니다.",
    "EGW00121": "유효하지 않은 token 입니다.",
    "EGW00123": "기간이 만료된 token 입니다.",
    "EGW00133": "접근토큰 발급 잠시 후 다시 시도하세요(1분당 1회)",
    "EGW00201": "초당 거래건수를 초과하였습니다.",
    "EGW00205": "credentials_type이 유효하지 않습니다.(Bearer)",
    "EGW00208": "고객유형(custtype)이 유효하지 않습니다.",
    "EGW00215": "원장 초당 거래건수를 초과하였습니다.",
    "EGW00304": "모니터링 시간이 초과되었습니다.",
    "EGW00316": "조회 처리 중 오류 발생하였습니다. 재 조회 하시기 바랍니다.",
}
WRONG_ENVIRONMENT = {
    Environment.REAL: "실전투자 TR 이 아닙니다.",
    Environment.MOCK: "모의투자 TR 이 아닙니다.",
}


@dataclass(frozen=True, slots=True)
class Customer:
    """Who may use the server; ``account`` is the 8 + 2 digits."""

    app_key: str
    app_secret: str
    account: str
    hts_id: str


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; header names in lower case, query names in upper case."""

    method: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, str] | None


@dataclass(slots=True)
class Venue:
    """The server's whole state."""

    environment: Environment
    customers: Mapping[str, Customer]
    exchange: Exchange
    time: MarketTime
    open_days: frozenset[str] = frozenset()
    limits: Limits | None = None
    witness: Witness = field(default_factory=Witness)
    faults: FaultBoard = field(default_factory=FaultBoard)
    tokens: TokenDesk = field(init=False)
    approvals: ApprovalDesk = field(default_factory=ApprovalDesk)
    numbers: Limits = field(init=False)
    _windows: dict[tuple[str, str], RequestWindow] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.numbers = self.limits or LIMITS[self.environment]
        self.tokens = TokenDesk(self.numbers)

    @property
    def is_mock(self) -> bool:
        """Say whether this is the mock environment."""
        return self.environment is Environment.MOCK

    @property
    def notice_tr(self) -> str:
        """Return the TR id of execution notices."""
        return NOTICE[self.environment]

    def move(self, wall_ns: int) -> None:
        """Play the market up to a wall time."""
        self.exchange.advance(self.time.market_ns(wall_ns))

    # --- requests ---

    def answer(self, request: Request, wall_ns: int) -> Reply:
        """Answer a request; the market is played up to that moment first."""
        self.move(wall_ns)
        name = request.path.rsplit("/", 1)[-1]
        self.witness.see_request(wall_ns, name)
        if self.faults.take(FaultKind.LOST_REQUEST, request.path):
            return Reply(500, {}, is_lost=True)
        reply = self._oauth(request, wall_ns)
        if reply is None:
            reply = self._service(request, wall_ns)
        reply.headers.setdefault("tr_id", request.headers.get("tr_id", ""))
        self.witness.answers[reply.code or str(reply.status)] += 1
        return self._spoiled(reply, request)

    def _oauth(self, request: Request, wall_ns: int) -> Reply | None:
        given = request.body or {}
        if request.method != "POST":
            return None
        match request.path:
            case path if path == TOKEN_PATH:
                return self._token(given, wall_ns)
            case path if path == APPROVAL_PATH:
                return self._approval(given, wall_ns)
            case path if path == REVOKE_PATH:
                self.tokens.revoke(given.get("token", ""))
                return Reply(200, {"code": 200, "message": "접근토큰 폐기에 성공하였습니다"})
            case path if path == HASH_PATH:
                return Reply(200, {"BODY": dict(given), "HASH": secret_text(64, *given.items())})
        return None

    def _token(self, given: Mapping[str, str], wall_ns: int) -> Reply:
        refusal = self._check_keys(given, "appsecret", TOKEN_PATH, wall_ns)
        if refusal is not None:
            return refusal
        token = self.tokens.issue(given["appkey"], wall_ns)
        if token is None:
            return self._oauth_violation("EGW00133", wall_ns, "tokenP within a minute")
        body: dict[str, object] = {
            "access_token": token.text,
            "token_type": "Bearer",
            # A whole life, also of a token that is given again: only the text tells its end.
            "expires_in": self.numbers.token_life_s,
            "access_token_token_expired": stamp(token.until_ns),
        }
        return Reply(200, body)

    def _approval(self, given: Mapping[str, str], wall_ns: int) -> Reply:
        refusal = self._check_keys(given, "secretkey", APPROVAL_PATH, wall_ns)
        if refusal is not None:
            return refusal
        return Reply(200, {"approval_key": self.approvals.issue(given["appkey"], wall_ns)})

    def _check_keys(
        self, given: Mapping[str, str], secret_name: str, path: str, wall_ns: int
    ) -> Reply | None:
        customer = self.customers.get(given.get("appkey", ""))
        code = _wrong_keys(customer, given, secret_name)
        if customer is None or code:
            return unauthorized(code, GATEWAY_TEXTS[code])
        if given.get("grant_type") != "client_credentials":
            return unauthorized("EGW00116", GATEWAY_TEXTS["EGW00116"])
        if not self._take(customer.app_key, path, self.numbers.token_requests_per_s, wall_ns):
            return self._oauth_violation("EGW00201", wall_ns, f"{path} twice in a second")
        return None

    def _oauth_violation(self, code: str, wall_ns: int, detail: str) -> Reply:
        self.witness.see_violation(wall_ns, code, detail)
        return unauthorized(code, GATEWAY_TEXTS[code])

    def _take(self, app_key: str, what: str, limit: int, wall_ns: int) -> bool:
        window = self._windows.setdefault((app_key, what), RequestWindow(limit))
        return window.take(wall_ns)

    def _service(self, request: Request, wall_ns: int) -> Reply:
        customer = self.customers.get(request.headers.get("appkey", ""))
        code = _wrong_keys(customer, request.headers, "appsecret")
        if customer is None or code:
            return gateway(code, GATEWAY_TEXTS[code])
        refusal = self._check_gateway(request, customer, wall_ns)
        if refusal is not None:
            return refusal
        service = SERVICES.get(request.path)
        if service is None or service.method != request.method:
            reply = failed("OPSQ0002", "없는 서비스 코드 입니다.")
            reply.status = 404 if service is None else 405
            return reply
        refusal = self._check_tr(service, request, wall_ns)
        if refusal is not None:
            return refusal
        return self._checked_call(service, request, customer, wall_ns)

    def _check_gateway(self, request: Request, customer: Customer, wall_ns: int) -> Reply | None:
        headers = request.headers
        limit = self.numbers.requests_per_s
        if not self._take(customer.app_key, "requests", limit, wall_ns):
            self.witness.see_violation(wall_ns, "EGW00201", request.path)
            return gateway("EGW00201", GATEWAY_TEXTS["EGW00201"])
        if self.faults.take(FaultKind.EARLY_LIMIT, request.path):
            return gateway("EGW00201", GATEWAY_TEXTS["EGW00201"])
        code = self._check_headers(headers, wall_ns)
        return gateway(code, GATEWAY_TEXTS[code]) if code else None

    def _check_headers(self, headers: Mapping[str, str], wall_ns: int) -> str:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme != "Bearer":
            return "EGW00205"
        if headers.get("custtype", "P") not in {"P", "B"}:
            return "EGW00208"
        return self.tokens.check(token.strip(), wall_ns)

    def _check_tr(self, service: Service, request: Request, wall_ns: int) -> Reply | None:
        tr_id = request.headers.get("tr_id", "")
        if tr_id in service.ids(self.environment):
            return None
        if tr_id in (*service.real, *service.mock):
            self.witness.see_violation(wall_ns, "EGW02004", tr_id)
            return gateway("EGW02004", WRONG_ENVIRONMENT[self.environment])
        return failed("OPSQ0002", "없는 서비스 코드 입니다.", status=500)

    def _checked_call(
        self, service: Service, request: Request, customer: Customer, wall_ns: int
    ) -> Reply:
        if self.faults.take(FaultKind.HTTP_500, request.path):
            return gateway("EGW00316", GATEWAY_TEXTS["EGW00316"])
        if service.is_account:
            limit = self.numbers.ledger_requests_per_s
            is_free = self._take("", "ledger", limit, wall_ns)
            if self.faults.take(FaultKind.LEDGER_BUSY, request.path) or not is_free:
                return gateway("EGW00215", GATEWAY_TEXTS["EGW00215"])
        try:
            if service.is_account:
                return self._account_call(service, request, customer, wall_ns)
            if service.name == "chk-holiday":
                return quotations.holidays(self.open_days)(self.exchange, request.query)
            return quotations.SERVICES[service.name](self.exchange, request.query)
        except InputError as error:
            return failed("OPSQ2001", f"ERROR : INPUT INVALID_CHECK_{error.field}", rt_cd="2")

    def _account_call(
        self, service: Service, request: Request, customer: Customer, wall_ns: int
    ) -> Reply:
        given = request.query if service.method == "GET" else request.body or {}
        account = self._account(customer, given)
        if account is None:
            return failed("OPSQ2000", "ERROR : INPUT INVALID_CHECK_ACNO", rt_cd="2")
        if service.method == "GET" and self.faults.take(FaultKind.EMPTY_ANSWER, request.path):
            # One project recorded this form of "nothing to show" on a balance that had rows.
            return failed(*trading.EMPTY, rt_cd="7")
        if service.name == "inquire-daily-ccld":
            self.witness.see_lookup(account.number)
        is_order = service.name == "order-cash"
        if is_order and self.faults.take(FaultKind.REFUSED_ORDER, given.get("PDNO", "")):
            return failed("APBK0919", "장운영시간이 아닙니다.(주문불가)")
        reject = is_order and bool(
            self.faults.take(FaultKind.REJECTED_ORDER, given.get("PDNO", ""))
        )
        call = trading.AccountCall(
            self.exchange,
            account,
            given,
            request.headers.get("tr_id", ""),
            request.headers.get("tr_cont", ""),
            self.numbers,
            self.is_mock,
            reject,
        )
        reply = trading.SERVICES[service.name](call)
        if is_order:
            self._see_order(call, reply, wall_ns)
        return reply

    def _account(self, customer: Customer, given: Mapping[str, str]) -> Account | None:
        number = given.get("CANO", "") + given.get("ACNT_PRDT_CD", "")
        return self.exchange.books.accounts[number] if number == customer.account else None

    def _see_order(self, call: trading.AccountCall, reply: Reply, wall_ns: int) -> None:
        if reply.body["rt_cd"] != "0":
            return
        given = call.given
        side = Side.SELL if call.tr_id in SELL_TR_IDS else Side.BUY
        ticket = Ticket(
            *(call.account.number, given["PDNO"], side, given["ORD_DVSN"]),
            *(int(given["ORD_QTY"]), int(given.get("ORD_UNPR") or 0)),
        )
        is_clear = not any(
            fault.kind in UNCLEAR and fault.match in ORDER_PATH for fault in self.faults.armed
        )
        self.witness.see_order(wall_ns, ticket, is_clear=is_clear)

    def _spoiled(self, reply: Reply, request: Request) -> Reply:
        """Let the reply of a request that was carried out be lost, late or unreadable."""
        path = request.path
        if self.faults.take(FaultKind.LOST_REPLY, path):
            reply.is_lost = True
        elif self.faults.take(FaultKind.UNKNOWN_OUTCOME, path):
            return gateway("EGW00304", GATEWAY_TEXTS["EGW00304"])
        elif self.faults.take(FaultKind.GARBAGE_REPLY, path):
            reply.text = '{"rt_cd":"0","msg_cd":"AP'
        late = self.faults.take(FaultKind.LATE_REPLY, path)
        if late is not None:
            reply.delay_s = late.seconds
        return reply

    # --- faults that happen at once ---

    def strike(self, fault: Fault, wall_ns: int) -> None:
        """Let a fault of the market or of tokens happen now, for every stock that matches."""
        self.move(wall_ns)
        self.faults.note(fault.kind)
        if fault.kind is FaultKind.TOKEN_EXPIRY:
            self.tokens.expire_all(wall_ns)
        elif fault.kind is FaultKind.CIRCUIT_BREAKER:
            self.exchange.break_circuit(fault.seconds)
        for code in list(self.exchange.symbols):
            if fault.match in code:
                self._strike_symbol(fault, code)

    def _strike_symbol(self, fault: Fault, code: str) -> None:
        if fault.kind is FaultKind.VI:
            self.exchange.start_vi(code, fault.seconds)
        elif fault.kind is FaultKind.HALT:
            self.exchange.halt(code)
        elif fault.kind is FaultKind.RESUME:
            self.exchange.resume(code)


def _wrong_keys(customer: Customer | None, given: Mapping[str, str], secret_name: str) -> str:
    """Return the code of what is wrong with an appkey and its secret, empty where nothing is."""
    if customer is None:
        return "EGW00103" if given.get("appkey") else "EGW00102"
    if not given.get(secret_name):
        return "EGW00104"
    return "" if given[secret_name] == customer.app_secret else "EGW00105"


UNCLEAR = frozenset(
    {
        *(FaultKind.LOST_REPLY, FaultKind.LATE_REPLY, FaultKind.GARBAGE_REPLY),
        FaultKind.UNKNOWN_OUTCOME,
    }
)
"""Faults after which a client cannot know what became of its order."""
