"""Applications of frameworks, as their users write them, driven by the clients that their users have."""

import asyncio
import io
import re
import unittest

import aiohttp
import httpx
import websockets
from hosting import DEADLINE, HERE, running, serving
from test_asgi import Hosted

MEGABYTES = 10_000_000


class Starlette(Hosted):
    """By httpx."""

    app = "asgi_starlette_app:starlette"

    def clients(self):
        for server in self.servers():
            with httpx.Client(base_url=server.url, timeout=DEADLINE) as client:
                yield server, client

    def test_d4_starlette_answers(self):
        for server, client in self.clients():
            answer = client.get("/", params={"a": "é"})
            self.assertEqual(answer.json(), {"path": "/", "query": {"a": "é"}, "started": "yes"})
            self.assertEqual(answer.headers["x-marked"], "yes")
            self.assertEqual(client.get("/blocking").text, "from a thread")
            self.assertEqual(client.get("/nowhere").status_code, 404)
            self.assertEqual(client.head("/").headers["content-length"], str(len(client.get("/").content)))
            self.assertEqual(client.post("/").status_code, 405)
            self.assertEqual(server.stop(), 0)
            self.assertNotIn("Traceback", server.log)

    def test_d4_starlette_streams_both_ways(self):
        for server, client in self.clients():
            with client.stream("GET", "/count/1000") as answer:
                self.assertEqual([int(line) for line in answer.iter_lines()], list(range(1000)))
            pieces = (b"8" * 100_000 for _ in range(100))
            self.assertEqual(client.post("/upload", content=pieces).text, str(MEGABYTES))
            self.assertEqual(client.post("/upload", content=b"8" * MEGABYTES).text, str(MEGABYTES))
            with client.stream("GET", "/forever") as answer:
                self.assertTrue(next(answer.iter_raw()).startswith(b"tick"))
            self.assertEqual(client.get("/left").text, "left")
            self.assertEqual(server.stop(), 0)
            self.assertNotIn("Traceback", server.log)

    def test_d4_clients_that_leave_frameworks_are_not_logged(self):
        for app in ("asgi_starlette_app:plain", "asgi_starlette_app:fastapi"):
            with self.subTest(app), serving(app, interface="asgi") as server:
                with httpx.Client(base_url=server.url, timeout=DEADLINE) as client:
                    with client.stream("GET", "/forever") as answer:
                        self.assertTrue(next(answer.iter_raw()).startswith(b"tick"))
                    self.assertEqual(client.get("/left").text, "left")
                self.assertEqual(server.stop(), 0)
                self.assertNotIn("Traceback", server.log)

    def test_d4_clients_that_leave_a_websocket_of_a_framework_are_not_logged(self):
        async def leave(server, how):
            url = f"{server.url.replace('http', 'ws')}/left/{how}"
            async with websockets.connect(url) as polite:
                await polite.ping()
            async with websockets.connect(url) as rude:
                rude.transport.abort()

        for how in "hear", "tell", "both":
            with self.subTest(how), serving("asgi_starlette_app:fastapi", interface="asgi") as server:
                asyncio.run(asyncio.wait_for(leave(server, how), DEADLINE))
                self.assertEqual(server.stop(), 0)
                self.assertNotIn("Traceback", server.log)

    def test_d4_starlette_takes_forms_and_sends_files(self):
        for server, client in self.clients():
            sent = client.post("/form", data={"name": "x"}, files={"file": ("f", b"8" * 2_000_000)})
            self.assertEqual(sent.json(), {"name": "x", "size": 2_000_000})
            whole = client.get("/file").content
            self.assertIn(b"a secret", whole)
            self.assertEqual(client.get("/static/asgi_starlette_app.py").content, whole)
            part = client.get("/file", headers={"Range": "bytes=0-9"})
            self.assertEqual((part.status_code, part.content), (206, whole[:10]))
            tag = client.get("/file").headers["etag"]
            same = client.get("/static/asgi_starlette_app.py", headers={"If-None-Match": tag})
            self.assertEqual(same.status_code, 304)

    def test_d4_an_error_is_for_the_log(self):
        for server, client in self.clients():
            answer = client.get("/fails")
            self.assertEqual(answer.status_code, 500)
            self.assertNotIn("secret", answer.text)
            server.wait_for("RuntimeError: a secret")


class FastAPI(Hosted):
    """By aiohttp and by websockets."""

    app = "asgi_starlette_app:fastapi"

    def test_d4_fastapi_answers(self):
        async def talk(server):
            timeout = aiohttp.ClientTimeout(total=DEADLINE)
            async with aiohttp.ClientSession(server.url, timeout=timeout) as session:
                async with session.post("/items", json={"name": "pi", "price": 1.5}) as answer:
                    self.assertEqual(await answer.json(), {"name": "pi", "twice": 3.0})
                item = {"number": 7, "sent": []}
                # What is left for the background is done after the answer, by a thread.
                while not item["sent"]:
                    async with session.get("/items/7") as answer:
                        item = await answer.json()
                self.assertEqual(item, {"number": 7, "sent": ["pi"]})
                async with session.get("/items/0") as answer:
                    self.assertEqual(answer.status, 404)
                async with session.post("/items", json={"name": "pi"}) as answer:
                    self.assertEqual(answer.status, 422)
                form = aiohttp.FormData({"note": "hello"})
                form.add_field("file", io.BytesIO(b"8" * MEGABYTES), filename="eights")
                async with session.post("/files", data=form) as answer:
                    self.assertEqual(await answer.json(), {"note": "hello", "name": "eights", "size": MEGABYTES})
                async with session.get("/lines") as answer:
                    lines = [line async for line in answer.content]
                    self.assertEqual((len(lines), lines[-1]), (1000, b"line 999\n"))
                async with session.get("/openapi.json") as answer:
                    self.assertIn("/items", (await answer.json())["paths"])
                many = await asyncio.gather(*(session.get(f"/items/{number}") for number in range(1, 51)))
                self.assertEqual([(await answer.json())["number"] for answer in many], list(range(1, 51)))

        for server in self.servers():
            asyncio.run(asyncio.wait_for(talk(server), DEADLINE))
            self.assertEqual(server.stop(), 0)
            self.assertNotIn("Traceback", server.log)

    def test_d4_fastapi_talks_websocket(self):
        async def talk(server):
            url = server.url.replace("http", "ws")
            async with websockets.connect(f"{url}/chat/ann") as ann:
                self.assertEqual(await ann.recv(), "ann is here")
                async with websockets.connect(f"{url}/chat/bob") as bob:
                    self.assertEqual([await ann.recv(), await bob.recv()], ["bob is here"] * 2)
                    await bob.send("hello é")
                    self.assertEqual([await ann.recv(), await bob.recv()], ["bob: hello é"] * 2)
                self.assertEqual(await ann.recv(), "bob has left: 1000")
                await (await ann.ping())
            async with websockets.connect(f"{url}/echo", max_size=None) as socket:
                for size in (0, 1, 125, 126, 65_536, 1_000_000):
                    await socket.send(b"8" * size)
                    self.assertEqual(len(await socket.recv()), size)
            with self.assertRaises(websockets.exceptions.InvalidStatus) as refused:
                await websockets.connect(f"{url}/private")
            self.assertEqual(refused.exception.response.status_code, 403)

        for server in self.servers():
            asyncio.run(asyncio.wait_for(talk(server), DEADLINE))
            self.assertEqual(server.stop(), 0)
            self.assertNotIn("Traceback", server.log)


class Page(unittest.TestCase):
    def test_the_examples_of_the_page_run(self):
        page = (HERE.parents[1] / "docs" / "python" / "asgi.md").read_text()
        examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
        self.assertTrue(examples)
        for code in examples:
            with running(["-c", code.replace(":8080", ":0")]) as server:
                self.assertEqual(httpx.get(server.url, timeout=DEADLINE).text, "Hello, world.\n")
                self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
