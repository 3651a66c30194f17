"""A small shop in Flask: catalogue, carts, orders. One of its pages never forgets; which one is for Plimsoll to find out."""
from flask import Flask

from . import carts, catalogue, orders


def create_app():
    app = Flask(__name__)
    for part in (catalogue, carts, orders):
        app.register_blueprint(part.pages)
    return app


app = create_app()
