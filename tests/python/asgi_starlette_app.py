"""A Starlette application, and one of FastAPI, as their documentation teaches to write them."""

import asyncio
import contextlib
import pathlib

import anyio
from fastapi import BackgroundTasks, Depends, FastAPI, File, Form, HTTPException, UploadFile, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse as FastStream
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

HERE = pathlib.Path(__file__).parent
LEFT = asyncio.Event()


@contextlib.asynccontextmanager
async def lifespan(app):
    yield {"started": "yes"}


async def home(request):
    return JSONResponse({"path": request.url.path, "query": dict(request.query_params), "started": request.state.started})


async def count(request):
    async def numbers():
        for number in range(request.path_params["to"]):
            yield f"{number}\n"
            await asyncio.sleep(0)

    return StreamingResponse(numbers(), media_type="text/plain")


async def forever(request):
    """A stream that its client leaves."""

    async def ticks():
        try:
            while True:
                yield b"tick\n"
                await asyncio.sleep(0.001)
        finally:
            LEFT.set()

    return StreamingResponse(ticks())


async def left(request):
    await LEFT.wait()
    return PlainTextResponse("left")


async def upload(request):
    total = 0
    async for chunk in request.stream():
        total += len(chunk)
    return PlainTextResponse(str(total))


async def form(request):
    async with request.form() as form:
        return JSONResponse({"name": form["name"], "size": len(await form["file"].read())})


async def file(request):
    return FileResponse(HERE / "asgi_starlette_app.py")


def blocking(request):
    """Runs in a thread of anyio's."""
    return PlainTextResponse("from a thread")


async def fails(request):
    raise RuntimeError("a secret")


class Marked(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        response = await call_next(request)
        response.headers["x-marked"] = "yes"
        return response


starlette = Starlette(
    lifespan=lifespan,
    middleware=[Middleware(Marked)],
    routes=[
        Route("/", home),
        Route("/count/{to:int}", count),
        Route("/forever", forever),
        Route("/left", left),
        Route("/upload", upload, methods=["POST"]),
        Route("/form", form, methods=["POST"]),
        Route("/file", file),
        Route("/blocking", blocking),
        Route("/fails", fails),
        Mount("/static", StaticFiles(directory=HERE)),
    ],
)


# Without middleware that hides from it that its client has left.
plain = Starlette(routes=[Route("/forever", forever), Route("/left", left)])


class Item(BaseModel):
    name: str
    price: float


fastapi = FastAPI()
SENT = []


async def token(x_token: str | None = None):
    return x_token


@fastapi.post("/items")
async def create(item: Item, tasks: BackgroundTasks, token: str | None = Depends(token)):
    tasks.add_task(SENT.append, item.name)
    return {"name": item.name, "twice": item.price * 2}


@fastapi.get("/items/{number}")
def read(number: int):
    if number == 0:
        raise HTTPException(404, "no such item")
    return {"number": number, "sent": SENT}


@fastapi.post("/files")
async def files(note: str = Form(), file: UploadFile = File()):
    return {"note": note, "name": file.filename, "size": len(await file.read())}


@fastapi.get("/lines")
async def lines():
    async def all_lines():
        for number in range(1000):
            yield f"line {number}\n".encode()

    return FastStream(all_lines())


fastapi.add_route("/left", left)
fastapi.add_route("/forever", forever)


class Rooms:
    def __init__(self):
        self.sockets = []

    async def say(self, text):
        for socket in self.sockets:
            await socket.send_text(text)


rooms = Rooms()


@fastapi.websocket("/chat/{name}")
async def chat(websocket: WebSocket, name: str):
    await websocket.accept()
    rooms.sockets.append(websocket)
    await rooms.say(f"{name} is here")
    try:
        while True:
            await rooms.say(f"{name}: {await websocket.receive_text()}")
    except WebSocketDisconnect as end:
        rooms.sockets.remove(websocket)
        await rooms.say(f"{name} has left: {end.code}")


@fastapi.websocket("/echo")
async def echo(websocket: WebSocket):
    await websocket.accept()
    async for message in websocket.iter_bytes():
        await websocket.send_bytes(message)


@fastapi.websocket("/left/{how}")
async def leaves(websocket: WebSocket, how: str):
    """A WebSocket whose client leaves, which nothing here deals with."""

    async def hear():
        while True:
            await websocket.receive_text()

    async def tell():
        while True:
            await websocket.send_text("tick")
            await asyncio.sleep(0.001)

    await websocket.accept()
    try:
        if how == "hear":
            await hear()
        elif how == "tell":
            await tell()
        else:
            async with anyio.create_task_group() as group:
                group.start_soon(hear)
                group.start_soon(tell)
    finally:
        LEFT.set()


@fastapi.websocket("/private")
async def private(websocket: WebSocket):
    await websocket.close(code=4003)
