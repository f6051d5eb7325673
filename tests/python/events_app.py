"""Streams of events that wait for the next one, as applications make them."""

import asyncio
import sys
import time

import flask
from fastapi import FastAPI
from fastapi.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

EVENTS = [(b"content-type", b"text/event-stream")]


def say(text):
    print(text, file=sys.stderr, flush=True)


async def listens(scope, receive, send):
    """Hears of the end, and has then something to do that takes longer than others are waited for."""
    if scope["type"] != "http":
        raise NotImplementedError
    await send({"type": "http.response.start", "status": 200, "headers": EVENTS})
    await send({"type": "http.response.body", "body": b"data: one\n\n", "more_body": True})
    if scope["method"] == "GET":
        while (await receive())["type"] != "http.disconnect":
            pass
    await asyncio.sleep(1.5)
    if scope["method"] == "POST":
        await send({"type": "http.response.body", "body": b"data: two\n\n"})
    say("it has ended by itself")


async def waits():
    """Waits for something that does not come; nobody tells it that there is no client."""
    try:
        yield "data: one\n\n"
        await asyncio.Event().wait()
    finally:
        say("it has ended by itself")


async def events(request):
    return StreamingResponse(waits(), media_type="text/event-stream")


starlette = Starlette(routes=[Route("/", events)])
fastapi = FastAPI()


@fastapi.get("/", response_class=EventSourceResponse)
async def numbers():
    async for _ in waits():
        yield {"number": 8}


ticking = flask.Flask("ticking")


@ticking.get("/")
def ticks():
    def made():
        try:
            while True:
                yield "data: one\n\n"
                time.sleep(0.01)
        finally:
            say("it has ended by itself")

    return flask.Response(made(), mimetype="text/event-stream")
