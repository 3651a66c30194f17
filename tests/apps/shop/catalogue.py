"""Articles. Pages are kept in a cache that is bounded, so this part of the shop grows for a while and then rests."""
from functools import lru_cache

from flask import Blueprint, jsonify

pages = Blueprint("catalogue", __name__)
WORDS = ["anchor", "ballast", "capstan", "davit", "fender", "halyard", "keel", "lantern", "mast", "oar", "rudder", "sextant"]


def price_of(article):
    return 100 + article * 37 % 9_900


@lru_cache(maxsize=256)
def describe(article):
    name = "%s %s" % (WORDS[article % 12], WORDS[article // 12 % 12])
    return {"article": article, "name": name, "price": price_of(article), "text": " ".join(WORDS[(article + n) % 12] for n in range(60))}


@pages.get("/")
def index():
    return jsonify(articles=[describe(article)["name"] for article in range(24)])


@pages.get("/articles/<int:article>")
def show(article):
    return jsonify(describe(article))
