"""A KIS client written by hand from the protocol's description, for tests of the simulated KIS."""

import asyncio
import base64
import json
from contextlib import asynccontextmanager

import aiohttp
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from kis_market import WHO, Wall, server_of

from scenarios.venues.kis.server import KisServer

QUOTATIONS = "/uapi/domestic-stock/v1/quotations/"
TRADING = "/uapi/domestic-stock/v1/trading/"


@asynccontextmanager
async def served(server: KisServer):
    """Start a server and give a client of it; both end with the block."""
    await server.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as http:
            yield KisClient(server, http)
    finally:
        await server.stop()


def with_client(check, *events, logged_in=True, now=10, **more) -> None:
    """Run ``check(client, wall)`` against a server that has played ``now`` seconds."""

    async def run():
        wall = Wall()
        async with served(server_of(*events, wall=wall, now=now, **more)) as client:
            if logged_in:
                await client.log_in()
            await check(client, wall)

    asyncio.run(run())


class KisClient:
    """One customer. Methods return (status, body, headers) and never retry."""

    def __init__(self, server: KisServer, http: aiohttp.ClientSession) -> None:
        self.server = server
        self.http = http
        self.token = ""
        self.approval = ""

    async def log_in(self) -> None:
        keys = {"grant_type": "client_credentials", "appkey": WHO.app_key}
        _, body, _ = await self.post_json("/oauth2/tokenP", keys | {"appsecret": WHO.app_secret})
        self.token = body["access_token"]
        _, body, _ = await self.post_json("/oauth2/Approval", keys | {"secretkey": WHO.app_secret})
        self.approval = body["approval_key"]

    def headers(self, tr_id: str, tr_cont: str = "") -> dict[str, str]:
        return {
            "content-type": "application/json; charset=utf-8",
            "authorization": f"Bearer {self.token}",
            "appkey": WHO.app_key,
            "appsecret": WHO.app_secret,
            "tr_id": tr_id,
            "tr_cont": tr_cont,
            "custtype": "P",
        }

    async def post_json(self, path, body, headers=None):
        async with self.http.post(path, json=body, headers=headers) as reply:
            return reply.status, await reply.json(), reply.headers

    async def get(self, path, tr_id, query=None, tr_cont=""):
        headers = self.headers(tr_id, tr_cont)
        async with self.http.get(path, params=query or {}, headers=headers) as reply:
            return reply.status, await reply.json(), reply.headers

    async def quotation(self, name, tr_id, **query):
        named = {"FID_COND_MRKT_DIV_CODE": "J"} | {f"FID_{k.upper()}": v for k, v in query.items()}
        return (await self.get(QUOTATIONS + name, tr_id, named))[1]

    def account(self) -> dict[str, str]:
        return {"CANO": WHO.account[:8], "ACNT_PRDT_CD": WHO.account[8:]}

    async def order(self, side, code, quantity, price, kind="00", tr_id=None):
        body = self.account() | {
            "PDNO": code,
            "ORD_DVSN": kind,
            "ORD_QTY": str(quantity),
            "ORD_UNPR": str(price),
            "EXCG_ID_DVSN_CD": "KRX",
            "SLL_TYPE": "",
            "CNDT_PRIC": "",
        }
        tr_id = tr_id or {"buy": "TTTC0012U", "sell": "TTTC0011U"}[side]
        return (await self.post_json(TRADING + "order-cash", body, self.headers(tr_id)))[1]

    async def change(self, number, kind, price=0, quantity=0, every="Y", tr_id="TTTC0013U"):
        body = self.account() | {
            "KRX_FWDG_ORD_ORGNO": "00950",
            "ORGN_ODNO": number,
            "ORD_DVSN": "00",
            "RVSE_CNCL_DVSN_CD": {"amend": "01", "cancel": "02"}[kind],
            "ORD_QTY": str(quantity),
            "ORD_UNPR": str(price),
            "QTY_ALL_ORD_YN": every,
            "EXCG_ID_DVSN_CD": "KRX",
        }
        return (await self.post_json(TRADING + "order-rvsecncl", body, self.headers(tr_id)))[1]

    async def balance(self):
        query = self.account() | {"INQR_DVSN": "01", "CTX_AREA_FK100": "", "CTX_AREA_NK100": ""}
        return (await self.get(TRADING + "inquire-balance", "TTTC8434R", query))[1]

    async def order_pages(self, day="20260309", tr_id="TTTC0081R", **filters):
        """Return the pages of the day's order list and the tr_cont each came with."""
        query = self.account() | {
            **{"INQR_STRT_DT": day, "INQR_END_DT": day, "SLL_BUY_DVSN_CD": "00", "PDNO": ""},
            **{"ODNO": "", "CCLD_DVSN": "00", "INQR_DVSN": "01", "EXCG_ID_DVSN_CD": "KRX"},
            **{"CTX_AREA_FK100": "", "CTX_AREA_NK100": ""},
            **filters,
        }
        pages, continues, tr_cont = [], [], ""
        while True:
            path = TRADING + "inquire-daily-ccld"
            _, body, headers = await self.get(path, tr_id, query, tr_cont)
            pages.append(body["output1"])
            continues.append(headers["tr_cont"])
            if headers["tr_cont"] not in {"F", "M"}:
                return pages, continues
            query["CTX_AREA_FK100"] = body["ctx_area_fk100"]
            query["CTX_AREA_NK100"] = body["ctx_area_nk100"]
            tr_cont = "N"

    async def faults(self, *faults):
        return await self.post_json("/admin/faults", list(faults))

    async def admin(self):
        async with self.http.get("/admin.json") as reply:
            return await reply.json()

    @asynccontextmanager
    async def socket(self, path="/tryitout"):
        async with self.http.ws_connect(path, autoping=False) as socket:
            yield KisSocket(self, socket)


class KisSocket:
    """One socket; ``keys`` are what notices are decrypted with."""

    def __init__(self, client: KisClient, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.client = client
        self.socket = socket
        self.keys: tuple[str, str] | None = None

    async def send(self, tr_id, tr_key, tr_type="1", approval=None):
        key = self.client.approval if approval is None else approval
        header = {"approval_key": key, "custtype": "P", "tr_type": tr_type}
        body = {"input": {"tr_id": tr_id, "tr_key": tr_key}}
        await self.socket.send_str(json.dumps({"header": header, "body": body}))

    async def text(self, timeout_s=2.0) -> str:
        message = await asyncio.wait_for(self.socket.receive(), timeout_s)
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise ConnectionError(f"{message.type!r}, {self.socket.close_code}")
        return message.data

    async def register(self, tr_id, tr_key, tr_type="1") -> str:
        """Register and return the code of the acknowledgement."""
        await self.send(tr_id, tr_key, tr_type)
        while not (text := await self.text()).startswith("{"):
            pass
        message = json.loads(text)
        if message["header"]["encrypt"] == "Y":
            output = message["body"]["output"]
            self.keys = (output["key"], output["iv"])
        return message["body"]["msg_cd"]

    async def frame(self) -> tuple[str, list[list[str]]]:
        """Return the next data frame's TR id and records."""
        while (text := await self.text())[0] not in "01":
            pass
        encrypted, tr_id, count, payload = text.split("|", 3)
        if encrypted == "1":
            payload = self.decrypt(payload)
        fields = payload.split("^")
        width = len(fields) // int(count)
        return tr_id, [fields[i : i + width] for i in range(0, len(fields), width)]

    def decrypt(self, payload: str) -> str:
        key, iv = self.keys
        decryptor = Cipher(algorithms.AES(key.encode()), modes.CBC(iv.encode())).decryptor()
        plain = decryptor.update(base64.b64decode(payload)) + decryptor.finalize()
        return plain[: -plain[-1]].decode()
