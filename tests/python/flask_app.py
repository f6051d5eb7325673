"""A Flask application: sessions, an upload, a stream, a file, an error."""

import hashlib
import pathlib
import wsgiref.validate

import flask

app = flask.Flask(__name__)
app.secret_key = "for the tests alone"


@app.get("/")
def hello():
    return f"Hello, {flask.session.get('name', 'world')}."


@app.post("/login")
def login():
    flask.session["name"] = flask.request.form["name"]
    return flask.redirect(flask.url_for("hello"))


@app.post("/upload")
def upload():
    file = flask.request.files["file"]
    content = file.read()
    return {"name": file.filename, "size": len(content), "digest": hashlib.sha256(content).hexdigest()}


@app.post("/json")
def echo():
    return {"seen": flask.request.get_json()}


@app.get("/stream")
def stream():
    def numbers():
        for number in range(3):
            yield f"{number}\n"

    return flask.Response(numbers(), mimetype="text/plain")


@app.get("/file")
def file():
    return flask.send_file(pathlib.Path(__file__), mimetype="text/plain")


@app.get("/address")
def address():
    return {"address": flask.request.remote_addr, "url": flask.request.url, "secure": flask.request.is_secure}


@app.get("/fails")
def fails():
    raise ValueError("secret")


validated = wsgiref.validate.validator(app)
