import flask

app = flask.Flask(__name__)
orders = flask.Blueprint("orders", __name__, url_prefix="/orders")


@orders.route("/<int:number>", methods=["GET", "POST"])
def order(number):
    return str(number)


@app.route("/gone/<name>")
def gone(name):
    flask.abort(410)


@app.route("/broken/<path:name>")
def broken(name):
    raise RuntimeError("the application's own")


@app.route("/stream/<name>")
def stream(name):
    return flask.Response(iter(["a", "b"]))


app.register_blueprint(orders)
